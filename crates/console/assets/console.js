"use strict";
// Pages work without this; it tells times in the reader's zone, shows progress as it comes, and writes the API call.

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) {
    time.title = at.toISOString().replace("T", " ").slice(0, 19) + " UTC";
    time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  }
}

const live = document.querySelector("[data-live]");
if (live) {
  const find = (name) => document.querySelector(`[data-${name}]`);
  const look = async () => {
    try {
      const answer = await fetch(live.dataset.live, { headers: { accept: "application/json" } });
      if (answer.redirected || !answer.ok) return location.reload();
      const job = await answer.json();
      if (!job.isOpen) return location.reload();
      find("status").textContent = job.status;
      find("status").className = `badge ${job.tone}`;
      find("rows").textContent = job.rows;
      find("eta").textContent = job.eta ? `· about ${job.eta} left` : "";
      if (job.share === null) find("share").removeAttribute("value");
      else find("share").value = job.share;
    } catch {
      // The server may be restarting: the next look tells.
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 500);
}

const command = document.querySelector("[data-cli-template]");
if (command) {
  command.closest("details").hidden = false;
  const quoted = (text) => (/^[\w@%+=:,.\/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  // The rows of a list: what each holds, what it held before, and by what it is known.
  const written = (members) => JSON.stringify(Object.fromEntries(Object.entries(members).sort()));
  // Rows that are typed as JSON, by the guide's names or the service's.
  const typed = (name) => {
    const names = { EventType: "eventType", MetricName: "metricName", MetricMathExpression: "expression" };
    try {
      const json = JSON.parse(document.querySelector(`[data-cli-typed="${name}"]`)?.value ?? "[]");
      return [json].flat().map((row) => {
        const members = Object.fromEntries(Object.entries(row).map(([key, value]) => [names[key] ?? key, value]));
        return { is: written(members), was: "", name: members.metricName };
      });
    } catch {
      return [];
    }
  };
  const rows = (name) => {
    const found = [...document.querySelectorAll(`[data-cli-row="${name}"]`)];
    const list = found.map((row) => {
      const fields = [...row.querySelectorAll("[data-cli-member]")];
      const key = (row.querySelector("[data-cli-key]") ?? fields[0]).dataset.cliMember;
      const members = Object.fromEntries(fields.map((field) => [field.dataset.cliMember, field.value.trim()]));
      const isGone = row.querySelector("[data-cli-drop]")?.checked || members[key] === "";
      const was = row.dataset.cliWas ? JSON.parse(row.dataset.cliWas) : null;
      return { is: isGone ? "" : written(members), was: was ? written(was) : "", name: was ? was[key] : "" };
    });
    for (const row of typed(name)) {
      const before = list.find((known) => known.name === row.name);
      if (before) before.is = row.is;
      else list.push(row);
    }
    return list.filter((row) => row.is || row.was);
  };
  const listed = (found) => (found.length ? `[${found.map((row) => row.is).join(",")}]` : "");
  // A schema that is edited as a table.
  const schemaOf = (table) => {
    const rows = [...table.querySelectorAll("[data-field]")].map((row) => {
      const of = (name) => row.querySelector(`[name="field-${name}"]`).value.trim();
      const type = of("null") === "yes" ? ["null", of("type")] : of("type");
      return { name: of("name"), type, ...(of("attribute") && { [of("attribute")]: true }) };
    });
    const fields = rows.filter((row) => row.name);
    const [type, namespace] = ["record", "com.amazonaws.personalize.schema"];
    return JSON.stringify({ type, name: table.dataset.schemaRecord, namespace, fields, version: "1.0" });
  };
  const value = (name) => {
    const table = document.querySelector("[data-schema-record]");
    if (table && name === "schema") return schemaOf(table);
    if (document.querySelector(`[data-cli-row="${name}"], [data-cli-typed="${name}"]`)) return listed(rows(name).filter((row) => row.is));
    const fields = [...document.querySelectorAll(`[data-cli="${name}"]`)];
    const field = fields.find((field) => !["radio", "checkbox"].includes(field.type) || field.checked);
    const text = field ? field.value.trim() : "";
    return name === "role" && text === "custom" ? value("role-arn") : text;
  };
  // Fills in the texts of JSON; what may be left out and is not given is gone, and so is what then holds nothing.
  const filled = (json) => {
    if (Array.isArray(json)) return json.map(filled);
    if (json && typeof json === "object") {
      const members = Object.entries(json).map(([name, member]) => [name, filled(member)]);
      const given = members.filter(([, member]) => member !== undefined);
      return given.length ? Object.fromEntries(given) : undefined;
    }
    const named = typeof json === "string" ? json.match(/^\{([\w-]+)(\?)?\}$/) : null;
    return named ? value(named[1]) || (named[2] ? undefined : `<${named[1]}>`) : json;
  };
  // One command, or the part of it up to a closing bracket; `isWhole` when all that it names is given.
  const expanded = (template, start) => {
    let text = "", isWhole = true, at = start;
    while (at < template.length && template[at] !== "]") {
      const rest = template.slice(at);
      const name = rest.match(/^\{(\w[\w-]*)\}/);
      const added = rest.match(/^\{\+([\w-]+)\}/);
      const gone = rest.match(/^\{-([\w-]+)\}/);
      const json = rest.match(/^'([^']*)'/);
      if (name) {
        isWhole &&= value(name[1]) !== "";
        text += quoted(value(name[1]) || `<${name[1]}>`);
        at += name[0].length;
      } else if (added) {
        const list = listed(rows(added[1]).filter((row) => row.is && row.is !== row.was));
        isWhole &&= list !== "";
        text += quoted(list);
        at += added[0].length;
      } else if (gone) {
        const list = rows(gone[1]).filter((row) => row.was && row.is !== row.was);
        isWhole &&= list.length > 0;
        text += list.map((row) => quoted(row.name)).join(" ");
        at += gone[0].length;
      } else if (json) {
        const given = filled(JSON.parse(json[1]));
        isWhole &&= given !== undefined;
        text += quoted(JSON.stringify(given ?? {}));
        at += json[0].length;
      } else if (rest[0] === "[") {
        const condition = rest.match(/^\[([\w-]+)=([\w-]*)\?/);
        const part = expanded(template, at + (condition ? condition[0].length : 1));
        const isShown = condition ? value(condition[1]) === condition[2] : part.isWhole;
        if (isShown) text += part.text;
        at = part.at + 1;
      } else {
        text += rest[0];
        at += 1;
      }
    }
    return { text, isWhole, at };
  };
  const write = () => {
    command.textContent = expanded(command.dataset.cliTemplate, 0).text;
  };
  for (const happening of ["input", "change", "click"]) document.addEventListener(happening, () => setTimeout(write));
  write();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Browsers give a page without TLS no clipboard: what is selected can still be copied.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = said), 1500);
  });
}

for (const button of document.querySelectorAll("[data-add-row]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const row = button.previousElementSibling.cloneNode(true);
    for (const field of row.querySelectorAll("input")) field.value = "";
    button.before(row);
    row.querySelector("input").focus();
  });
}

const listed = document.querySelector("[data-jobs-live]");
if (listed) {
  const look = async () => {
    try {
      const answer = await fetch(listed.dataset.jobsLive, { headers: { accept: "application/json" } });
      if (answer.redirected || !answer.ok) return location.reload();
      const { jobs } = await answer.json();
      for (const row of listed.querySelectorAll("[data-job]")) {
        const job = jobs[row.dataset.job];
        if (!job) return location.reload();
        const status = row.querySelector("[data-job-status]");
        status.textContent = job.status + (job.share === null ? "" : ` · ${job.share} %`);
        status.className = `badge ${job.tone}`;
        row.querySelector("[data-job-rows]").textContent = job.rows;
      }
    } catch {
      // The server may be restarting: the next look tells.
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 500);
}

const typed = document.querySelector("form[data-preview-from]");
if (typed) {
  let waiting;
  let asked = 0;
  const write = async () => {
    const fields = new URLSearchParams(new FormData(typed));
    fields.delete("form-token");
    const number = ++asked;
    try {
      const answer = await fetch(`${typed.dataset.previewFrom}?${fields}`);
      if (!answer.ok || answer.redirected || number !== asked) return;
      const told = await answer.json();
      for (const place of document.querySelectorAll("[data-preview]")) {
        place.textContent = told[place.dataset.preview] || "type a path";
      }
    } catch {
      // The server may be restarting: the next key asks again.
    }
  };
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(write, 150);
  };
  typed.addEventListener("input", soon);
  typed.addEventListener("change", soon);
}
