// The search as a reader of a manual needs it; the theme's own does the work.
// It costs nothing until it is used: its index and its worker are fetched when it is first opened.
// What is typed or pasted is words, not operators: an error message has colons, stars and minus signs.
// Where the site has the longest runs of these words, such as a message or most of it, comes first.
{
  const SETUP = 0, QUERY = 2, RESULT = 3; // what the theme and its worker say to each other
  const LONG = 4; // a sentence or a message: its words are whole; in fewer words, each may be a beginning

  const query = document.querySelector("[data-md-component=search-query]");
  const opened = new Promise((open) => query.addEventListener("focus", open, { once: true }));

  const { open } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url) {
    open.call(this, method, url);
    if (url.endsWith("/search_index.json")) {
      this.send = () => opened.then(() => XMLHttpRequest.prototype.send.call(this));
    }
    // For each page in another language, the theme asks for a sitemap beside it, where none is.
    if (url.endsWith("/sitemap.xml")) this.send = () => {};
  };

  // A Chinese character is a word, as in the index: nobody knows where words end without a dictionary.
  const words = (text) => text.normalize("NFKC").toLowerCase().match(/\p{Script=Han}|((?!\p{Script=Han})[\p{L}\p{N}])+/gu) ?? [];
  // Words on both sides of a Chinese mark are not a run: another character stands between them.
  const sequence = (text) => ` ${words(text.replace(/[，。；：！？、]/g, " 〇 ")).join(" ")} `;
  const plain = (html) => html.replace(/<[^>]*>|&\w+;/g, " ");

  const texts = new Map();
  let asked = [];

  // The squares of the lengths of the runs of words that a text has, each less by `less`: long runs count most.
  // The last word may be a beginning.
  function match(text, less) {
    let sum = 0;
    for (let from = 0; from < asked.length; ) {
      let to = from;
      while (to < asked.length && text.includes(` ${asked.slice(from, to + 1).join(" ")}${to + 1 < asked.length ? " " : ""}`)) to += 1;
      if (to > from) sum += (to - from) ** 2 - less;
      from = Math.max(to, from + 1);
    }
    return sum;
  }

  // A word that stands nowhere is spelt in another way: with American letters, or with one wrong.
  function spelt(word) {
    for (const [title, text] of texts.values()) {
      if (title.includes(` ${word}`) || text.includes(` ${word}`)) return word;
    }
    return `${word.replace(/(?<=[iy])z(?=[aei])/, "s")}~1`;
  }

  function toWorker({ type, data }) {
    if (type === SETUP) {
      for (const { location, title, text } of data.docs) {
        texts.set(location, [title, text].map((each) => sequence(plain(each))));
      }
    } else if (type === QUERY) {
      asked = words(data);
      data = asked.map((word) => (asked.length < LONG ? spelt(word) : `${word}^1`)).join(" ");
    }
    return { type, data };
  }

  function fromWorker({ type, data }) {
    if (type === RESULT) {
      const better = (a, b) => b.score - a.score;
      for (const page of data.items) {
        for (const section of page) {
          const [title, text] = texts.get(section.location);
          section.score += 1000 * Math.max(match(title, 1), match(text, 1)) + 750 * match(title, 0);
          if (section.location.startsWith("mistakes")) section.score -= 500; // it leads to the fix, which comes first
        }
        page.sort(better);
      }
      data.items.sort(([a], [b]) => better(a, b));
    }
    return { type, data };
  }

  const TheirWorker = Worker;
  window.Worker = function (url) {
    const { port1, port2 } = new MessageChannel(); // keeps what is said before the worker is there
    opened.then(() => {
      const worker = new TheirWorker(url);
      worker.onmessage = (event) => port2.postMessage(fromWorker(event.data));
      port2.onmessage = (event) => worker.postMessage(toWorker(event.data));
    });
    port1.start();
    return port1;
  };
}
