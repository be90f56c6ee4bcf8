// What the theme does with a mouse, in motion and for the eye: also by keyboard, still, and by name.
{
  const panels = matchMedia("(max-width: 76.2344em)"); // the width at which the theme has a drawer
  const drawer = document.getElementById("__drawer");

  function renamed(element, name) {
    const other = document.createElement(name);
    other.className = element.className;
    other.append(...element.childNodes);
    element.replaceWith(other);
    return other;
  }

  // A label cannot be focused: the drawer has a button, wherever there are scripts.
  const button = renamed(document.querySelector(".md-header label[for=__drawer]"), "button");
  button.classList.add("drawer-button");
  button.ariaLabel = document.querySelector(".md-nav--primary").ariaLabel;
  button.addEventListener("click", () => drawer.click());
  drawer.addEventListener("change", () => {
    button.ariaExpanded = drawer.checked;
    const inside = ".md-sidebar--primary a, .md-sidebar--primary label[tabindex='0']";
    const first = [...document.querySelectorAll(inside)].find((each) => each.checkVisibility({ visibilityProperty: true }));
    (drawer.checked ? first : button).focus();
  });
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && drawer.checked) drawer.click();
  });

  // Inside it, labels open and close the panels; the theme clicks one when Enter is pressed.
  const reach = () => {
    for (const each of document.querySelectorAll(".md-nav--primary label[for^=__nav], .md-nav--primary label[for=__toc]")) {
      each.tabIndex = panels.matches ? 0 : -1;
    }
  };
  panels.addEventListener("change", reach);
  reach();

  // The table of contents follows the reader, and does not glide if that is not wanted.
  const { scrollTo } = Element.prototype;
  if (matchMedia("(prefers-reduced-motion)").matches) {
    Element.prototype.scrollTo = function (place) {
      scrollTo.call(this, { ...place, behavior: "instant" });
    };
  }

  // What scrolls sideways can be scrolled with the arrow keys.
  const scrollers = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  document$.subscribe(() => {
    for (const each of document.querySelectorAll(".md-typeset__scrollwrap")) scrollers.observe(each);
    // The button of a code block is no landmark of the page.
    for (const each of document.querySelectorAll(".md-code__nav")) renamed(each, "div");
  });

  // All code of a page is that of its script. From a disk nothing can be fetched, so there the button is hidden.
  document$.subscribe(() => {
    const copy = document.querySelector(".copy-code");
    if (!copy || !location.protocol.startsWith("http")) return;
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      const script = await fetch(copy.dataset.script);
      await navigator.clipboard.writeText(await script.text());
      const label = copy.textContent;
      copy.textContent = copy.dataset.copied;
      setTimeout(() => (copy.textContent = label), 2000);
    });
  });

  // A link to another language leads to the same place on the page: the one in the address while that is seen,
  // otherwise the last heading above.
  const place = () => {
    const top = (element) => element.getBoundingClientRect().top;
    const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (named && top(named) >= 0 && top(named) < innerHeight) return location.hash;
    const passed = [...document.querySelectorAll("article :is(h2, h3, h4)[id]")].filter((each) => top(each) < 100);
    return passed.length ? passed.at(-1).id : "";
  };
  for (const each of document.querySelectorAll(".md-select__link")) {
    for (const event of ["pointerenter", "focus"]) each.addEventListener(event, () => (each.hash = place()));
  }

  // On paper a page is light, and everything on it is open.
  const folded = () => document.querySelectorAll("details:not([open])");
  let scheme, opened;
  addEventListener("beforeprint", () => {
    scheme = document.body.dataset.mdColorScheme;
    opened = [...folded()];
    document.body.dataset.mdColorScheme = "default";
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    document.body.dataset.mdColorScheme = scheme;
    for (const each of opened) each.open = false;
  });
}
