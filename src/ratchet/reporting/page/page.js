"use strict";
// Draws the charts, sorts and filters the tables. All content is already in the page, as text or in #payload.
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const views = new Map(); // chart name -> the result of vegaEmbed

  function setLook(look) {
    root.dataset.look = look;
    const button = document.getElementById("look");
    button.hidden = false;
    button.textContent = look === "dark" ? "Light" : "Dark";
  }

  function fitSpec(spec, place, look) {
    const width = place.clientWidth;
    const config = structuredClone(payload.looks[look]);
    config.background = "transparent"; // the background of the page
    config.axis.labelLimit = Math.min(240, Math.round(width * 0.38));
    config.legend.columns = width < 480 ? 1 : 4;
    return { ...spec, width: "container", config };
  }

  async function draw(name) {
    const place = document.getElementById(name);
    const title = document.getElementById(`${name}-title`).textContent;
    const chosen = views.has(name) ? views.get(name).view.getState().signals : {};
    views.get(name)?.finalize();
    const spec = fitSpec(payload.charts[name], place, root.dataset.look);
    spec.description = title;
    spec.params = (spec.params ?? []).map((param) => (param.name in chosen ? { ...param, value: chosen[param.name] } : param));
    const tooltip = { theme: root.dataset.look, disableDefaultStyle: false };
    views.set(name, await vegaEmbed(place, spec, { actions: false, renderer: "svg", ast: true, tooltip }));
  }

  let drawn = Promise.resolve();
  function drawAll() {
    delete root.dataset.ready;
    drawn = drawn.then(drawInTurn); // never two at once, however often the look changes
  }

  async function drawInTurn() {
    for (const name of Object.keys(payload.charts)) {
      await draw(name);
      await new Promise((go) => setTimeout(go)); // let the page respond in between
    }
    root.dataset.ready = "true";
  }

  // Tables

  function sortBy(head) {
    const table = head.closest("table");
    const body = table.tBodies[0];
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((left, right) => compareCells(left.cells[column], right.cells[column]));
    body.append(...(down ? rows.reverse() : rows));
  }

  function compareCells(left, right) {
    const numbers = [left, right].map((cell) => Number(cell.dataset.order?.replace("inf", "Infinity")));
    if (!numbers.some(Number.isNaN)) return numbers[0] < numbers[1] ? -1 : Number(numbers[0] > numbers[1]);
    return left.textContent.localeCompare(right.textContent, undefined, { numeric: true });
  }

  function filter(input) {
    const data = input.closest(".data");
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...data.querySelectorAll("tbody tr")];
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    data.querySelector(".count").textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
  }

  // The values of a chart as a table: for readers who cannot see the chart, or want to copy them.

  function valuesOf(spec) {
    const named = Object.values(spec.datasets ?? {});
    const inline = [spec, ...(spec.layer ?? [])].map((layer) => layer.data?.values).filter(Array.isArray);
    const distinct = new Map([...named, ...inline].map((rows) => [JSON.stringify(rows), rows]));
    return [...distinct.values()].filter((rows) => rows.length && ("model" in rows[0] || "name" in rows[0]));
  }

  function tableOf(rows, title) {
    const table = document.createElement("table");
    const heads = table.createTHead().insertRow();
    for (const key of Object.keys(rows[0])) {
      const head = document.createElement("th");
      head.scope = "col";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = key;
      head.append(button);
      heads.append(head);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of Object.values(row)) {
        const cell = line.insertCell();
        const isNumber = typeof value === "number";
        cell.textContent = isNumber ? String(Number(value.toPrecision(5))) : String(value);
        if (isNumber) cell.dataset.order = value;
      }
    }
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", title);
    scroll.append(table);
    return scroll;
  }

  function fillValues(details) {
    if (!details.open || details.querySelector("table")) return;
    const name = details.closest("figure").querySelector(".chart").id;
    valuesOf(payload.charts[name]).forEach((rows, index) => details.append(tableOf(rows, `Values ${index + 1} of ${name}`)));
  }

  document.addEventListener("click", (event) => {
    const head = event.target.closest("th button")?.closest("th");
    if (head) sortBy(head);
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches(".filter input")) filter(event.target);
  });
  document.querySelectorAll("details.values").forEach((details) => details.addEventListener("toggle", () => fillValues(details)));
  document.getElementById("look").addEventListener("click", () => {
    setLook(root.dataset.look === "dark" ? "light" : "dark");
    drawAll();
  });
  prefersDark.addEventListener("change", (event) => {
    setLook(event.matches ? "dark" : "light");
    drawAll();
  });
  setLook(prefersDark.matches ? "dark" : "light");
  drawAll();
})();
