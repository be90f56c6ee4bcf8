// The picture that answers back, on the page about initialization: how the sizes of activations and gradients
// change from layer to layer. All of its numbers are those of the two tables below it, which the page's code made.
{
  // The words of the picture, in the language of the site; each {} stands for a value.
  const words = JSON.parse(document.currentScript.dataset.words);
  const filled = (text, ...values) => text.replace(/\{\}/g, () => values.shift());

  const details = document.querySelector("details.scales");
  const [sizes, gradients] = [...details.querySelectorAll("table")].map(read);
  const layers = sizes.layers;
  const TOP = 1e10, BOTTOM = 1e-10, HEIGHT = 260, LEFT = 44, RIGHT = 12, EDGE = 26;

  // The rows of a table by activation and gain. Before the first layer, the size is 1.
  function read(table) {
    const [head, ...body] = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent));
    const rows = new Map(body.map(([activation, gain, ...values]) => [`${activation} ${gain}`, [1, ...values.map(Number)]]));
    return {
      rows,
      layers: [0, ...head.slice(2).map(Number)],
      activations: [...new Set(body.map(([activation]) => activation))],
      gains: [...new Set(body.map(([, gain]) => gain))],
    };
  }

  const figure = document.createElement("figure");
  figure.className = "scale-picture";
  figure.innerHTML = `
    <form>
      <fieldset><legend>${words.activation}</legend>${sizes.activations
        .map((name) => `<label><input type="radio" name="activation" value="${name}"> ${name}</label>`)
        .join(" ")}</fieldset>
      <label>${words.gain} <input type="range" name="gain" min="0" max="${sizes.gains.length - 1}"> <b></b></label>
      <label>${words.depth} <input type="range" name="depth" min="1" max="${layers.length - 1}"> <b></b></label>
    </form>
    <svg role="img" height="${HEIGHT}"></svg>
    <figcaption><output aria-live="polite"></output></figcaption>`;
  details.before(figure);
  const form = figure.querySelector("form");
  const { gain, depth } = form.elements;
  const svg = figure.querySelector("svg");
  form.elements.activation.value = "ReLU";
  gain.value = sizes.gains.indexOf("1.0");
  depth.value = layers.indexOf(20);

  const above = (digits) => digits.replace("+", "").replace(/./g, (digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]);

  function times(value) {
    if (value >= 0.01 && value < 1000) return String(Number(value.toPrecision(2)));
    const [digits, power] = value.toExponential(1).split("e");
    return `${digits}\u00a0·\u00a010${above(power)}`;
  }

  function verdict(size, gradient) {
    const fate = (value) => (value < 0.05 ? words.vanish : value > 20 ? words.explode : words.keep);
    const [activations, back] = [fate(size), fate(gradient)];
    return activations === back ? filled(words.both, back) : filled(words.each, activations, back);
  }

  const count = (many) => filled(many === 1 ? words.layer : words.layers, many);

  function draw() {
    const key = `${form.elements.activation.value} ${sizes.gains[gain.value]}`;
    const last = Number(depth.value), many = layers[last];
    for (const [slider, text] of [[gain, sizes.gains[gain.value]], [depth, count(many)]]) {
      slider.setAttribute("aria-valuetext", text);
      slider.nextElementSibling.textContent = text;
    }
    const forward = sizes.rows.get(key).slice(0, last + 1);
    const factors = gradients.rows.get(key).slice(0, last + 1);
    const backward = factors.map((factor) => factors[last] / factor); // from the output back to each layer

    const width = figure.clientWidth;
    const x = (layer) => LEFT + ((width - LEFT - RIGHT) * layer) / many;
    const y = (value) => EDGE + ((HEIGHT - 2 * EDGE) * Math.log10(TOP / value)) / Math.log10(TOP / BOTTOM);
    const line = (values, name, mark) => {
      const points = values.map((value, at) => [x(layers[at]), y(Math.min(Math.max(value, BOTTOM), TOP))].map(Math.round));
      return `<polyline class="${name}" points="${points.join(" ")}"/>${points.map(mark).join("")}`;
    };
    const disk = ([cx, cy]) => `<circle class="activations" cx="${cx}" cy="${cy}" r="4"/>`;
    const square = ([cx, cy]) => `<rect class="gradients" x="${cx - 3.5}" y="${cy - 3.5}" width="7" height="7"/>`;
    const level = (value, label) =>
      `<path d="M${LEFT} ${y(value)}H${width - RIGHT}"/><text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${label}</text>`;
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.innerHTML = `
      ${[[TOP, "10¹⁰"], [1e5, "10⁵"], [1, "1"], [1e-5, "10⁻⁵"], [BOTTOM, "10⁻¹⁰"]].map((each) => level(...each)).join("")}
      ${line(backward, "gradients", square)}${line(forward, "activations", disk)}
      <text x="${LEFT}" y="${HEIGHT - 4}">${words.input}</text>
      <text x="${width - RIGHT}" y="${HEIGHT - 4}" text-anchor="end">${filled(words.last, many)}</text>
      <text class="activations" x="${LEFT + 4}" y="14">● ${words.activations}</text>
      <text class="gradients" x="${LEFT + 124}" y="14">■ ${words.gradients}</text>`;
    const factor = [forward[last], backward[0]].map(times);
    const text = filled(words.story, count(many), ...factor, verdict(forward[last], backward[0]));
    figure.querySelector("output").textContent = text;
    svg.setAttribute("aria-label", text);
  }
  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  new ResizeObserver(draw).observe(figure);
}
