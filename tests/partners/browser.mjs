// A browser behind a small HTTP server: what is posted is run as a function of `page`, and what it gives back is the
// answer. Ends with its parent. `node browser.mjs PORT MODULES EXECUTABLE`.

import { createServer } from "node:http";
import { createRequire } from "node:module";

const [port, modules, executablePath] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");
const PATIENCE_MS = 120_000;
const AsyncFunction = (async () => {}).constructor;

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let page = null;
let heard = [];

/** A window of its own, in which everything that goes wrong is noted. */
async function open(options) {
    await page?.context().close();
    heard = [];
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("pageerror", (error) => heard.push(`error: ${error.message}`));
    // What is asked of another host; and what the policy of the page forbids, as the console says.
    page.on("request", (request) => {
        const { hostname } = new URL(request.url());
        if (hostname !== "127.0.0.1") heard.push(`request: ${request.url()}`);
    });
    page.on("console", (message) => {
        if (message.text().includes("Content Security Policy")) heard.push(`policy: ${message.text()}`);
    });
    return page;
}

/** What axe finds serious or critical, in words. */
async function findings() {
    // The policy of the page forbids the script that a tag would load: it is evaluated instead.
    await page.evaluate(require("node:fs").readFileSync(axe, "utf8"));
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    return grave.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" | ")}`);
}

const tools = { open, findings, heard: () => heard };

const server = createServer(async (request, response) => {
    let [status, answer] = [200, null];
    try {
        let body = "";
        for await (const chunk of request) body += chunk;
        if (request.method === "POST") {
            answer = await new AsyncFunction("page", "tools", body)(page, tools);
        }
    } catch (error) {
        [status, answer] = [500, { error: String(error.stack ?? error) }];
    }
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? null));
});
server.requestTimeout = 0;
server.listen(Number(port), "127.0.0.1");
process.stdin.resume();
process.stdin.on("end", async () => {
    await browser.close();
    process.exit(0);
});
