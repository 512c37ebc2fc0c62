// Renders the OpenAPI document of this server, and sends requests to it. Texts are only ever set as text.
"use strict";

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
};
const pretty = (value) => JSON.stringify(value, null, 2);
const fold = (title, ...content) => make("details", {}, make("summary", {}, ...[title].flat()), ...content);

// A text with `code` in it.
const prose = (text) =>
  make("p", {}, ...(text ?? "").split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part)));

// A schema as JSON, with links where it refers to another.
function schemaView(schema) {
  const view = make("pre");
  for (const part of pretty(schema).split(/("#\/components\/schemas\/[^"]+")/)) {
    const name = part.match(/^"#\/components\/schemas\/(.+)"$/)?.[1];
    view.append(name ? make("a", { href: `#schema-${name}` }, part) : part);
  }
  return view;
}

function parameterTable(parameters) {
  const inputs = new Map();
  const rows = parameters.map((parameter) => {
    const value = parameter.in === "path" ? (parameter.example ?? "") : "";
    const input = make("input", { value, placeholder: parameter.example ?? parameter.schema.default ?? "" });
    inputs.set(parameter, input);
    const label = make("td", {}, make("code", {}, parameter.name), ` (${parameter.in})`);
    return make("tr", {}, label, make("td", {}, prose(parameter.description)), make("td", {}, input));
  });
  return { table: make("table", {}, make("tbody", {}, ...rows)), inputs };
}

function examplesOf(media) {
  if (media.examples) return Object.entries(media.examples).map(([name, example]) => [name, example.value]);
  return [["example", media.example ?? ""]];
}

function bodyEditor(requestBody) {
  const area = make("textarea", { spellcheck: "false" });
  const choice = make("select");
  const type = make("select", {}, ...Object.keys(requestBody.content).map((name) => make("option", {}, name)));
  const show = (value) => (area.value = typeof value === "string" ? value : pretty(value));
  const fill = () => {
    const examples = examplesOf(requestBody.content[type.value]);
    choice.replaceChildren(...examples.map(([name]) => make("option", {}, name)));
    choice.onchange = () => show(examples[choice.selectedIndex][1]);
    show(examples[0]?.[1] ?? "");
  };
  type.onchange = fill;
  fill();
  return { element: make("div", {}, make("h3", {}, "Body"), type, " ", choice, area), area, type };
}

function urlOf(path, inputs) {
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query" && input.value) query.set(parameter.name, input.value);
  }
  return query.size ? `${path}?${query}` : path;
}

// JSON with line breaks, unless that would change how something is spelt: 1.10 has to stay 1.10.
function indented(text) {
  try {
    const value = JSON.parse(text);
    return JSON.stringify(value) === text ? pretty(value) : text;
  } catch {
    return text;
  }
}

async function send(method, url, body, output) {
  const headers = {};
  const token = document.querySelector("#token input").value;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = body.type.value;
  headers.Accept = "application/json, application/problem+json, */*";
  output.textContent = "...";
  try {
    const response = await fetch(url, { method, headers, body: body?.area.value });
    const text = await response.text();
    const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    output.textContent = `${method} ${url}\n\n${response.status}\n${lines.join("\n")}\n\n${indented(text)}`;
  } catch (error) {
    output.textContent = `${method} ${url}\n\n${error}`;
  }
}

function responseView([status, response]) {
  const contents = Object.entries(response.content ?? {}).map(([type, media]) =>
    make("div", {}, make("code", {}, type), schemaView(media.schema)));
  const headers = Object.entries(response.headers ?? {}).map(([name, header]) => prose(`\`${name}\` ${header.description}`));
  return fold([make("code", {}, status), make("span", {}, ...prose(response.description).childNodes)], ...headers, ...contents);
}

function operationView(path, method, operation, shared) {
  const { table, inputs } = parameterTable([...(shared ?? []), ...(operation.parameters ?? [])]);
  const body = operation.requestBody && bodyEditor(operation.requestBody);
  const output = make("pre");
  const button = make("button", { type: "button" }, "Send");
  button.onclick = () => send(method.toUpperCase(), urlOf(path, inputs), body, output);
  const title = [make("b", { class: `method ${method}` }, method.toUpperCase()), make("code", {}, path), make("span", {}, operation.summary)];
  return fold(title, prose(operation.description), table, body?.element ?? "", button, output, make("h3", {}, "Answers"),
    ...Object.entries(operation.responses).map(responseView));
}

function operationsView(paths) {
  const groups = new Map();
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (!operation.operationId) continue;
      const tag = operation.tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, make("section", {}, make("h2", {}, tag)));
      groups.get(tag).append(operationView(path, method, operation, item.parameters));
    }
  }
  return groups.values();
}

async function main() {
  const api = await (await fetch("/api/v1/openapi.json")).json();
  document.querySelector("#title").textContent = `${api.info.title} ${api.info.version}`;
  document.querySelector("#about").textContent = api.info.description;
  document.querySelector("#token").hidden = !api.components.securitySchemes;
  document.querySelector("#operations").replaceChildren(...operationsView(api.paths));
  document.querySelector("#codes tbody").replaceChildren(...api["x-codes"].map(({ code, status, title }) =>
    make("tr", { id: code }, make("td", {}, make("code", {}, code)), make("td", {}, String(status)), make("td", {}, title))));
  document.querySelector("#schemas").replaceChildren(...Object.entries(api.components.schemas).map(([name, schema]) => {
    const view = fold(make("code", {}, name), schemaView(schema));
    view.id = `schema-${name}`;
    return view;
  }));
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target?.tagName === "DETAILS") target.open = true;
    target?.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
}

main().catch((error) => { document.querySelector("#operations").textContent = `The document can't be shown: ${error}`; });
