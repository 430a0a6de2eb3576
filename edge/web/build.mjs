// Builds what browsers load: two scripts without dependencies, and the digests that pin them.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
await build({
  entryPoints: { paymesh: "src/sdk.ts", "card-frame": "src/frame.ts" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none",
  charset: "utf8",
});
copyFileSync("src/card-frame.css", "dist/card-frame.css");

const integrity = Object.fromEntries(
  ["card-frame.css", "card-frame.js", "paymesh.js"].map((name) => [
    name,
    `sha384-${createHash("sha384").update(readFileSync(`dist/${name}`)).digest("base64")}`,
  ]),
);
writeFileSync("dist/integrity.json", `${JSON.stringify(integrity, null, 2)}\n`);
const page = readFileSync("src/card-frame.html", "utf8").replace(
  /\{\{([\w.-]+)\}\}/g,
  (_, name) => integrity[name],
);
writeFileSync("dist/card-frame.html", page);
