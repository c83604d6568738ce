"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(find(id).textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function onChange(form, act) {
    for (const kind of ["input", "change"]) find(form).addEventListener(kind, act);
    find(form).addEventListener("submit", (event) => event.preventDefault());
  }

  // Curves. Those in a closed <details> have no width yet, and are drawn when it opens.
  const figures = read("figures");
  const drawn = new Set();

  function scheme() {
    const axis = { gridcolor: colour("--line"), linecolor: colour("--line") };
    const layout = {
      "font.color": colour("--soft"),
      "font.family": getComputedStyle(document.body).fontFamily,
      "font.size": 12,
      "hoverlabel.bgcolor": colour("--panel"),
      "hoverlabel.bordercolor": colour("--line"),
      "hoverlabel.font.color": colour("--ink"),
    };
    for (const name of ["xaxis", "yaxis"]) {
      for (const [key, value] of Object.entries(axis)) layout[`${name}.${key}`] = value;
    }
    return layout;
  }

  async function draw(box) {
    if (drawn.has(box)) return;
    drawn.add(box);
    const { data, layout } = figures[Number(box.dataset.figure)];
    await Plotly.newPlot(box, data, layout, {
      responsive: true,
      displayModeBar: false, // dragging zooms, a double click goes back
    });
    await Plotly.relayout(box, scheme());
  }

  const visible = [...document.querySelectorAll(".plot")].filter((box) => !box.closest("details"));
  Promise.all(visible.map(draw)).then(() => document.body.classList.add("drawn"));
  for (const details of document.querySelectorAll("details")) {
    details.addEventListener("toggle", () => {
      if (details.open) details.querySelectorAll(".plot").forEach(draw);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const box of drawn) Plotly.relayout(box, scheme());
  });

  // Samples. Everything a model wrote goes in as text, never as markup.
  const samples = read("sample-data");
  const PAGE = 8;
  let page = 0;

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function shown(value) {
    if (value === null || value === undefined) return "–";
    return typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
  }

  function text(label, content) {
    const box = element("div");
    box.append(element("p", "", label), element("pre", "", content));
    return box;
  }

  function card(sample) {
    const head = element("div", "head");
    head.append(element("span", "", `step ${shown(sample.step)}`));
    if (sample.reward !== null) head.append(element("span", "total", `reward ${shown(sample.reward)}`));
    for (const [name, value] of Object.entries(sample.rewards)) {
      head.append(element("span", "part", `${name} ${shown(value)}`));
    }
    const texts = element("div", "texts");
    texts.append(text("Prompt", sample.prompt), text("Completion", sample.completion));
    if (sample.reference) texts.append(text("Reference", sample.reference));
    const made = element("article", "sample");
    made.append(head, texts);
    return made;
  }

  const byReward = (sign) => (a, b) => {
    const [one, other] = [a, b].map((s) => (typeof s.reward === "number" ? s.reward : -sign * Infinity));
    return one === other ? 0 : sign * (other - one);
  };
  const orders = { high: byReward(1), low: byReward(-1) };

  function chosen() {
    const words = find("sample-search").value.toLowerCase();
    const step = find("sample-step").value;
    const order = find("sample-order").value;
    const rows = samples.filter(
      (s) =>
        (step === "" || String(s.step) === step) &&
        [s.prompt, s.completion, s.reference].some((t) => t.toLowerCase().includes(words)),
    );
    if (order === "new") return rows.reverse();
    return order in orders ? rows.sort(orders[order]) : rows;
  }

  function list() {
    const rows = chosen();
    const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
    page = Math.min(Math.max(page, 0), last);
    const first = page * PAGE;
    const some = rows.slice(first, first + PAGE);
    find("sample-list").replaceChildren(...some.map(card));
    find("sample-place").textContent = rows.length
      ? `${first + 1}–${first + some.length} of ${rows.length}`
      : "no sample matches";
    find("sample-back").disabled = page === 0;
    find("sample-on").disabled = page === last;
  }

  if (find("sample-filter")) {
    const steps = [...new Set(samples.map((s) => s.step))].filter((s) => s !== null);
    for (const step of steps) find("sample-step").append(new Option(String(step), String(step)));
    const turn = (by) => () => { page += by; list(); find("samples").scrollIntoView(); };
    find("sample-back").addEventListener("click", turn(-1));
    find("sample-on").addEventListener("click", turn(1));
    onChange("sample-filter", () => { page = 0; list(); });
    list();
  }

  // The table of values.
  if (find("value-filter")) {
    const rows = [...document.querySelectorAll("#values tbody tr")];
    const filter = () => {
      const words = find("value-search").value.toLowerCase();
      const set = find("value-set").checked;
      for (const row of rows) {
        const hit = row.textContent.toLowerCase().includes(words);
        row.hidden = !hit || (set && row.classList.contains("default"));
      }
    };
    onChange("value-filter", filter);
  }
})();
