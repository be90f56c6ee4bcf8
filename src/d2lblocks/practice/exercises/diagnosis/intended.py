"""One finding is intended."""

import torch
from torch import Tensor, nn

from d2lblocks._arguments import kind_of
from d2lblocks.diagnosis import Report, diagnose

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "diagnosis.md#errors-and-questions"
TASK = """
A net uses a teacher, a net that must be neither trained nor saved with it.
So its author keeps the teacher in a tuple on purpose: `self.teacher = (teacher,)`.
Write `examine(net, X)`, which returns the report of `diagnose(net, X)` without the question about `self.teacher[0]`.
Everything else must still be found, for example other layers in a tuple or a list.
"""
STUB = """\
from d2lblocks import diagnose


def examine(net, X):
    return diagnose(net, X)
"""
SOLUTION = """\
from d2lblocks import diagnose


def examine(net, X):
    return diagnose(net, X, silence=["unregistered:self.teacher[0]"])
"""
HINTS = (
    "What are the `code` and the `names` of the finding about the teacher?",
    "Read diagnosis.md#errors-and-questions: `silence` accepts a code, or a code with a place.",
    'The code is `unregistered` and the place is `self.teacher[0]`: write `silence=["CODE:PLACE"]` with them.',
)
AFTER = """
Only this question is hidden: the same mistake in another place is still found.
The finding is a question and not an error because the teacher runs under `torch.no_grad()`, so it cannot be meant to learn.
"""


class Student(nn.Module):
    """A net with a teacher in a tuple, and with one more thing to find."""

    def __init__(self, more: str = "") -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.teacher = tuple(nn.Linear(2, 2) for _ in range(1 + (more == "pair")))
        self.more = [nn.Linear(2, 2)] if more == "layer" else []
        self.second = (nn.Linear(2, 2),) if more == "teacher" else ()
        if more == "constant":
            self.scale = torch.tensor(2.0)

    def forward(self, X: Tensor) -> Tensor:
        """The difference between student and teacher."""
        with torch.no_grad():
            Y = self.teacher[0](X)
            for layer in (*self.teacher[1:], *self.second):
                Y = layer(Y)
        for layer in self.more:
            X = layer(X)
        return self.layer(X) * getattr(self, "scale", 1) - Y


GONE = "The net was changed: the teacher is gone, and `forward` needs it."
KINDS = {
    "": "a net with a teacher in self.teacher",
    "layer": "a net with a teacher in self.teacher, and a layer in the list self.more",
    "teacher": "a net with a teacher in self.teacher, and another one in self.second",
    "pair": "a net with a teacher in self.teacher, and another layer in the same tuple",
    "constant": "a net with a teacher in self.teacher, and a plain tensor self.scale",
}


def check(answer: Answer) -> None:
    """The question about the teacher is silenced, and no other finding."""
    examine = answer.function("examine")
    for more, text in KINDS.items():
        net, X = Student(more), torch.rand(2, 2)
        answer.given = text
        try:
            report = examine(net, X)
        except AttributeError as error:
            if hasattr(net, "teacher"):
                raise
            raise Wrong(GONE, came=f"AttributeError: {error}", expected="a report") from None
        except ValueError as error:
            if "there is no finding with the code" in str(error):
                why = "`silence` takes the code of a finding, alone or with a place behind it; this begins with something else."
                raise Wrong(why, came=str(error), expected="a report") from None
            raise
        answer.kind(report, "examine(net, X)", Report | list | tuple, "a report")
        if not hasattr(net, "teacher"):
            raise Wrong(GONE, came="no self.teacher", expected="the net as it was")
        if not isinstance(net.teacher, tuple):
            raise Wrong(
                "The net was changed: the teacher must stay in the tuple, or it is trained and saved too.",
                came=f"self.teacher is a {type(net.teacher).__name__}",
                expected="self.teacher is a tuple",
            )
        if not net.training:
            why = "The net was changed: it is in evaluation mode, and the program may go on training it."
            raise Wrong(why, came="net.training is False", expected="net.training is True")
        came = [(each.code, *each.names) for each in report]
        found = [(each.code, *each.names) for each in diagnose(net, X)]
        teacher = ("unregistered", "self.teacher[0]")
        expected = [each for each in found if each != teacher]
        if any(code == "raises" for code, *_ in came):
            why = "The call of the net raised an error: `diagnose` passes `X` to the net, and also every named argument that is not its own."
        elif teacher in came:
            why = "The teacher is still found: are the code and the place written as in the finding?"
        elif more == "teacher":
            why = "The question about `self.second[0]` is missing: only errors are left, but no other question is intended."
        elif more == "pair":
            why = "The question about `self.teacher[1]` is missing: a place also silences what is inside, so name `self.teacher[0]` only."
        elif more == "layer":
            why = (
                "Another layer that is not registered goes unnoticed: the code `unregistered` alone silences every "
                "place."
            )
        else:
            why = "A finding is missing that has nothing to do with the teacher."
        answer.same(came, expected, "examine(net, X)", why)
    if not isinstance(report, Report):
        why = "The findings are right, but they are not in a report, which prints as text: `silence` leaves a finding out of it."
        raise Wrong(why, came=kind_of(report), expected="a report")


WRONG = (
    WrongAnswer("silences every place", changes={"unregistered:self.teacher[0]": "unregistered"}),
    WrongAnswer("every named argument", changes={"silence": "ignore"}),
    WrongAnswer(
        "not in a report",
        changes={
            'diagnose(net, X, silence=["unregistered:self.teacher[0]"])': '[\n        each\n        for each in diagnose(net, X)\n        if each.names != ("self.teacher[0]",)\n    ]'
        },
    ),
    WrongAnswer("silences what is inside", changes={"self.teacher[0]": "self.teacher"}),
    WrongAnswer("is in evaluation mode", changes={"diagnose(net, X": "diagnose(net.eval(), X"}),
    WrongAnswer("begins with something else", changes={"unregistered:": ""}),
    WrongAnswer("the teacher is gone", changes={"    return": "    del net.teacher\n    return"}),
    WrongAnswer("still found", changes={"self.teacher[0]": "teacher"}),
    WrongAnswer(
        "only errors are left",
        changes={', silence=["unregistered:self.teacher[0]"]': "", "X)\n": "X).errors\n"},
    ),
    WrongAnswer(
        "must stay in the tuple",
        changes={
            ', silence=["unregistered:self.teacher[0]"]': "",
            "    return": "    net.teacher = nn.ModuleList(net.teacher)\n    return",
            "from d2l": "from torch import nn\n\nfrom d2l",
        },
    ),
    WrongAnswer(
        "nothing to do with the teacher", changes={'self.teacher[0]"]': 'self.teacher[0]", "constant"]'}
    ),
)
