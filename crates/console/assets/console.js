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
  const quoted = (text) => (/^[\w@%+=:,.\/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const value = (name) => {
    const fields = [...document.querySelectorAll(`[data-cli="${name}"]`)];
    const field = fields.find((field) => field.type !== "radio" || field.checked);
    return field ? field.value : "";
  };
  const write = () => {
    command.textContent = command.dataset.cliTemplate.replace(/\{([\w-]+)\}/g, (whole, name) => {
      const given = name === "role" && value("role") === "custom" ? value("role-arn") : value(name);
      return given ? quoted(given) : `<${name}>`;
    });
  };
  document.addEventListener("input", write);
  document.addEventListener("change", write);
  write();
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
