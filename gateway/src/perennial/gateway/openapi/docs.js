// The whole of the docs page: reads /openapi.json, lists its operations, sends requests. Needs nothing from any other host.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete", "head"];
let spec;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function resolve(schema) {
  let found = schema;
  while (found && found.$ref) found = found.$ref.slice(2).split("/").reduce((at, key) => at[key], spec);
  return found || {};
}

// An example value for a schema; `depth` ends schemas that contain themselves.
function example(schema, depth = 0) {
  const found = resolve(schema);
  if (found.example !== undefined) return found.example;
  if (found.examples && found.examples.length) return found.examples[0];
  if (found.default !== undefined) return found.default;
  if (found.const !== undefined) return found.const;
  if (found.enum) return found.enum[0];
  const options = found.anyOf || found.oneOf || found.allOf;
  if (options) return example(options[0], depth);
  const type = Array.isArray(found.type) ? found.type[0] : found.type;
  if (type === "object" || found.properties) {
    if (depth > 5) return {};
    return Object.fromEntries(Object.entries(found.properties || {}).map(([name, inner]) => [name, example(inner, depth + 1)]));
  }
  if (type === "array") return depth > 5 ? [] : [example(found.items || {}, depth + 1)];
  if (type === "integer" || type === "number") return found.minimum ?? 0;
  if (type === "boolean") return false;
  if (found.format === "uuid") return "00000000-0000-7000-8000-000000000000";
  if (found.format === "date-time") return new Date().toISOString();
  return type === "string" ? "string" : null;
}

function pretty(value) {
  return element("pre", { textContent: JSON.stringify(value, null, 2) });
}

function jsonOf(holder) {
  const content = Object.entries((holder || {}).content || {})[0];
  return content && content[1].schema;
}

function parameters(operation) {
  const inputs = (operation.parameters || []).map(resolve).map((parameter) => {
    const input = element("input", { placeholder: parameter.required ? "required" : "" });
    return { parameter, input };
  });
  const grid = element("div", { className: "fields" });
  for (const { parameter, input } of inputs) {
    grid.append(element("code", { textContent: `${parameter.name} (${parameter.in})`, title: parameter.description || "" }), input);
  }
  return { inputs, grid };
}

async function send(method, path, inputs, body, answer) {
  let url = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value && parameter.in === "query") query.set(parameter.name, input.value);
    else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
  }
  const authorization = document.getElementById("authorization").value.trim();
  if (authorization) headers.Authorization = authorization;
  if (body !== null) headers["Content-Type"] = "application/json";
  const target = query.size ? `${url}?${query}` : url;
  try {
    const response = await fetch(target, { method: method.toUpperCase(), headers, body });
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    answer.textContent = `${response.status} ${response.statusText}\n${[...response.headers].map((pair) => pair.join(": ")).join("\n")}\n\n${shown}`;
  } catch (error) {
    answer.textContent = String(error);
  }
}

function details(method, path, operation) {
  const box = element("div");
  if (operation.description) box.append(element("p", { textContent: operation.description }));
  const { inputs, grid } = parameters(operation);
  if (inputs.length) box.append(element("h3", { textContent: "Parameters" }), grid);
  const schema = jsonOf(operation.requestBody);
  const editor = schema && element("textarea", { value: JSON.stringify(example(schema), null, 2), spellcheck: false });
  if (editor) box.append(element("h3", { textContent: "Body" }), editor);
  for (const [status, found] of Object.entries(operation.responses || {})) {
    const response = resolve(found);
    box.append(element("h3", { textContent: `${status} ${response.description || ""}` }));
    const shape = status.startsWith("2") && jsonOf(response);
    if (shape) box.append(pretty(example(shape)));
  }
  const answer = element("pre", { hidden: true });
  const button = element("button", { type: "button", textContent: "Send" });
  button.addEventListener("click", async () => {
    await send(method, path, inputs, editor ? editor.value : null, answer);
    answer.hidden = false;
  });
  box.append(button, answer);
  return box;
}

function operation(method, path, found) {
  const box = element("details");
  box.dataset.words = `${method} ${path} ${found.summary || ""} ${found.operationId || ""}`.toLowerCase();
  box.append(element("summary", {},
    element("span", { className: "method", textContent: method.toUpperCase() }),
    element("code", { textContent: path }),
    element("span", { textContent: found.summary || "" })));
  box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(details(method, path, found)); });
  return box;
}

function show() {
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", { textContent: tag })));
      groups.get(tag).append(operation(method, path, item[method]));
    }
  }
  document.getElementById("operations").replaceChildren(...[...groups.keys()].sort().map((tag) => groups.get(tag)));
}

document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const box of document.querySelectorAll("details")) box.hidden = !words.every((word) => box.dataset.words.includes(word));
});

fetch("/openapi.json")
  .then((response) => response.json())
  .then((found) => { spec = found; show(); })
  .catch((error) => { document.getElementById("operations").textContent = String(error); });
