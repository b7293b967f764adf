// Starts the real server on a scratch folder and ends it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const credentials = {
  accessKeyId: "AKIAROOTROOTROOTROOT",
  secretAccessKey: "root/secret+of=the/tests/40characters0000",
};

/** Resolves once the server listens: its endpoint, and a function that ends it and gives its exit code. */
export function start() {
  const folder = mkdtempSync(join(tmpdir(), "lade-js-"));
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    LADE_ROOT_ACCESS_KEY_ID: credentials.accessKeyId,
    LADE_ROOT_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  const options = ["serve", "--data-dir", join(folder, "data"), "--listen", "127.0.0.1:0"];
  const child = spawn(process.env.LADE_BIN, options, { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  const stop = async () => {
    child.kill("SIGTERM");
    const code = await ended;
    rmSync(folder, { recursive: true, force: true });
    return code;
  };
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (chunk) => {
      said += chunk;
      const found = said.match(/(?:listening on|Address) +(http:\/\/\S+)/);
      if (found) resolve({ endpoint: found[1].replace(/\/$/, ""), stop });
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", (chunk) => (said += chunk));
    child.once("error", reject);
    ended.then((code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
  });
}
