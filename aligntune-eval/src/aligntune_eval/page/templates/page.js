"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(find(id).textContent);
  const index = read("index");
  const PAGE = 20;
  const FOLD = 600; // characters of a text that are shown before it folds
  const kept = new Map();
  let shown = null; // what the open rows are of: task, metric, model, beside
  let opener = null;
  let page = 0;

  function once(id) {
    if (!kept.has(id)) kept.set(id, read(id));
    return kept.get(id);
  }

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function number(value) {
    if (value === null || value === undefined) return "–";
    return String(Number(value.toPrecision(4)));
  }

  // The value of one row: what stands there, or the ratio of its parts.
  function valueOf(made, row, names) {
    const top = row[3][names.indexOf(made.top)];
    if (top === undefined || top === null) return null;
    if (made.kind !== "ratio" && made.kind !== "exp_ratio") return top;
    const bottom = row[3][names.indexOf(made.bottom)];
    if (!(bottom > 0)) return null;
    return made.kind === "ratio" ? top / bottom : Math.exp(top / bottom);
  }

  // The metric of some rows, or null where rows do not add up to it.
  function metricOf(made, rows, names) {
    if (made.kind === "corpus" || made.kind === "unknown") return null;
    const at = names.indexOf(made.top);
    const below = names.indexOf(made.bottom);
    let top = 0;
    let bottom = 0;
    for (const { row } of rows) {
      top += row[3][at];
      bottom += made.kind === "mean" ? 1 : row[3][below];
    }
    if (!bottom) return null;
    return made.kind === "exp_ratio" ? Math.exp(top / bottom) : top / bottom;
  }

  function close(one, other) {
    return Math.abs(one - other) <= Math.max(1e-9, 1e-6 * Math.max(Math.abs(one), Math.abs(other)));
  }

  // The rows that make the number that was chosen, each with its value and its partner.
  function collect() {
    const { task, metric, model, beside } = shown;
    const said = index[task].metrics[metric];
    const own = once(`rows-${task}-${model}`);
    const made = said.models[model];
    const partners = new Map();
    if (beside !== null) {
      const other = once(`rows-${task}-${beside}`);
      const like = said.models[beside];
      for (const row of other.rows) {
        partners.set(row[0], { row, value: like ? valueOf(like, row, other.names) : null });
      }
    }
    return own.rows
      .map((row) => ({ row, value: valueOf(made, row, own.names), beside: partners.get(row[0]) ?? null }))
      .filter((each) => each.value !== null || made.kind === "corpus" || made.kind === "unknown");
  }

  const change = (each) =>
    each.beside === null || each.beside.value === null || each.value === null
      ? null
      : each.value - each.beside.value;

  function changed(each) {
    return change(each) !== null && !close(each.value, each.beside.value);
  }

  function wrong(each, better) {
    return each.value !== null && (better === false ? each.value > 0 : each.value < 1);
  }

  const orders = {
    row: () => 0,
    low: (a, b) => (a.value ?? Infinity) - (b.value ?? Infinity),
    high: (a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity),
    // Of equal changes, rows that got worse come first.
    change: (a, b) => {
      const [one, other] = [change(a) ?? 0, change(b) ?? 0];
      const sign = index[shown.task].metrics[shown.metric].better === false ? -1 : 1;
      return Math.abs(other) - Math.abs(one) || sign * (one - other);
    },
  };

  function chosen() {
    const { task, metric } = shown;
    const questions = once(`questions-${task}`);
    const better = index[task].metrics[metric].better;
    const words = find("rows-search").value.toLowerCase();
    const has = (text) => text.toLowerCase().includes(words);
    const rows = shown.rows.filter((each) => {
      if (find("rows-wrong").checked && !wrong(each, better)) return false;
      if (find("rows-changed").checked && !changed(each)) return false;
      if (!words) return true;
      const texts = [...questions[each.row[0]], ...each.row[2], each.row[4] ?? ""];
      return texts.some(has) || (each.beside !== null && each.beside.row[2].some(has));
    });
    return rows.sort(orders[find("rows-order").value]);
  }

  function text(label, content) {
    const box = element("div");
    box.append(element("p", "", label));
    if (content.length <= FOLD) {
      box.append(element("pre", "", content));
      return box;
    }
    const details = element("details");
    details.append(element("summary", "", `${content.slice(0, 160)}… (${content.length.toLocaleString("en")} characters)`));
    // The text goes in when it is unfolded, so that a page of long texts stays quick.
    details.addEventListener("toggle", () => {
      if (details.open && details.childElementCount === 1) details.append(element("pre", "", content));
    });
    box.append(details);
    return box;
  }

  function completions(texts, label, answers) {
    answers.forEach((answer, place) => {
      texts.append(text(answers.length > 1 ? `${label} ${place + 1}` : label, answer));
    });
  }

  function card(each) {
    const { task, metric, model, beside } = shown;
    const { better, name } = index[task].metrics[metric];
    const own = once(`rows-${task}-${model}`);
    const [question, place, answers, values, prompt, others] = each.row;
    const [asked, reference] = once(`questions-${task}`)[question];
    const head = element("div", "head");
    head.append(element("span", "", `row ${place}`));
    head.append(element("span", "total", `${name} ${number(each.value)}`));
    const by = change(each);
    if (by !== null && changed(each)) {
      const verdict = better === null ? "" : by > 0 === better ? "better" : "worse";
      head.append(element("span", `change ${verdict}`, `${number(each.beside.value)} → ${number(each.value)}`));
    }
    own.names.forEach((key, at) => {
      if (key !== name && values[at] !== null) head.append(element("span", "part", `${key} ${number(values[at])}`));
    });
    const texts = element("div", each.beside === null ? "texts" : "texts two");
    texts.append(text("Prompt", prompt ?? asked));
    if (reference) texts.append(text("Reference", reference));
    for (const [label, content] of Object.entries(others)) texts.append(text(label, content));
    const models = index[task].models;
    completions(texts, beside === null ? "Completion" : `Completion of ${models[model]}`, answers);
    if (each.beside !== null) completions(texts, `Completion of ${models[beside]}`, each.beside.row[2]);
    const made = element("article", "sample");
    made.append(head, texts);
    return made;
  }

  function said(rows) {
    const { task, metric, model } = shown;
    const made = index[task].metrics[metric].models[model];
    const { names } = once(`rows-${task}-${model}`);
    const over = (some, what) => {
      const value = metricOf(made, some, names);
      return value === null ? null : `${number(value)} over ${what}`;
    };
    const all = shown.rows.length;
    const whole = over(shown.rows, all === 1 ? "one row" : `all ${all.toLocaleString("en")} rows`);
    if (whole === null) return "No sum of the values of rows makes this number.";
    const part = rows.length < all && rows.length ? over(rows, `the ${rows.length.toLocaleString("en")} below`) : null;
    return part === null ? whole : `${whole}; ${part}`;
  }

  function list() {
    const rows = chosen();
    const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
    page = Math.min(Math.max(page, 0), last);
    const first = page * PAGE;
    const some = rows.slice(first, first + PAGE);
    find("rows-made").textContent = said(rows);
    find("rows-list").replaceChildren(...some.map(card));
    find("rows-place").textContent = rows.length
      ? `${(first + 1).toLocaleString("en")}–${(first + some.length).toLocaleString("en")} of ${rows.length.toLocaleString("en")}`
      : "no row matches";
    for (const id of ["rows-first", "rows-back"]) find(id).disabled = page === 0;
    for (const id of ["rows-on", "rows-last"]) find(id).disabled = page === last;
  }

  function again() {
    page = 0;
    list();
  }

  // What the filter offers depends on the metric and on the other models of the task.
  function offer() {
    const { task, metric, model, beside } = shown;
    const { models, metrics } = index[task];
    const others = models.map((name, place) => [name, place]).filter(([, place]) => place !== model);
    const select = find("rows-beside");
    select.replaceChildren(new Option("no other model", ""));
    for (const [name, place] of others) select.append(new Option(name, String(place)));
    select.value = beside === null ? "" : String(beside);
    find("rows-beside-label").hidden = others.length === 0;
    find("rows-changed-label").hidden = beside === null;
    find("rows-order").querySelector('[value="change"]').disabled = beside === null;
    const { better } = metrics[metric];
    const shares = shown.rows.every(({ value }) => value !== null && value >= 0 && value <= 1);
    find("rows-wrong-label").hidden = better === null || !shares;
    for (const kind of ["wrong", "changed"]) {
      if (find(`rows-${kind}-label`).hidden) find(`rows-${kind}`).checked = false;
    }
    if (beside === null && find("rows-order").value === "change") find("rows-order").value = "row";
    find("rows-title").textContent = `${metrics[metric].name} of ${models[model]} on ${index[task].name}`;
  }

  function show() {
    shown.rows = collect();
    offer();
    again();
  }

  function open(button) {
    const { task, metric, model, beside } = button.dataset;
    shown = { task: Number(task), metric: Number(metric), model: Number(model), beside: beside === undefined ? null : Number(beside) };
    find("rows-search").value = "";
    find("rows-wrong").checked = false;
    find("rows-changed").checked = beside !== undefined;
    find("rows").hidden = false;
    for (const each of document.querySelectorAll(".open")) each.setAttribute("aria-expanded", String(each === button));
    opener = button;
    find("rows-order").querySelector('[value="change"]').disabled = false;
    find("rows-order").value = beside === undefined ? "row" : "change";
    show();
    find("rows-title").focus();
    find("rows").scrollIntoView();
  }

  function shut() {
    if (find("rows").hidden) return;
    find("rows").hidden = true;
    opener.setAttribute("aria-expanded", "false");
    opener.focus();
  }

  for (const button of document.querySelectorAll(".open")) {
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => open(button));
  }
  function beside() {
    const { value } = find("rows-beside");
    shown.beside = value === "" ? null : Number(value);
    show();
  }

  for (const kind of ["input", "change"]) {
    for (const id of ["rows-search", "rows-order", "rows-wrong", "rows-changed"]) {
      find(id).addEventListener(kind, again);
    }
    find("rows-beside").addEventListener(kind, beside);
  }
  find("rows-filter").addEventListener("submit", (event) => event.preventDefault());
  const turn = (to) => () => {
    page = to(page);
    list();
    find("rows").scrollIntoView();
  };
  find("rows-first").addEventListener("click", turn(() => 0));
  find("rows-back").addEventListener("click", turn((at) => at - 1));
  find("rows-on").addEventListener("click", turn((at) => at + 1));
  find("rows-last").addEventListener("click", turn(() => Infinity));
  find("rows-close").addEventListener("click", shut);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") shut();
  });
  document.body.classList.add("drawn");
})();
