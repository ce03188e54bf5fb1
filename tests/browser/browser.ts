/** A real browser on a machine of the lab, and a page that is watched: what it logs, and whom it asks. */

import axe, { type AxeResults } from "axe-core";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import type { LabNamespace } from "../../src/lab/namespace.ts";

const CHROMIUM = "/usr/bin/chromium";
const START_TIMEOUT_MS = 60_000;
/** What the page shows follows the farm within a second; a loaded machine gets its time. */
const WAIT_TIMEOUT_MS = 20_000;

/** Why the browser cannot run here; undefined if it can. */
export function browserUnavailable(): string | undefined {
  try {
    return Deno.statSync(CHROMIUM).isFile ? undefined : `${CHROMIUM} is no file`;
  } catch {
    return `${CHROMIUM} is missing (Debian package chromium)`;
  }
}

/** Starts the browser in a network namespace. It is steered over a pipe: the namespace has no way to here. */
export async function startBrowser(namespace: LabNamespace, directory: string): Promise<Browser> {
  const wrapper = `${directory}/chromium`;
  await Deno.writeTextFile(
    wrapper,
    `#!/bin/sh\nexec nsenter --net=${namespace.path} ${CHROMIUM} "$@"\n`,
    { mode: 0o755 },
  );
  return await puppeteer.launch({
    executablePath: wrapper,
    pipe: true,
    userDataDir: `${directory}/profile`,
    timeout: START_TIMEOUT_MS,
    // Tests run as root, where Chromium has no sandbox; it sees only our own page.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
}

export const DESKTOP = { width: 1440, height: 1000 };
export const PHONE = { width: 390, height: 844, deviceScaleFactor: 2 };

/** A page that is watched, with what tests do on it. */
export class WatchedPage {
  /** Errors and warnings on its console, and exceptions that nobody caught. */
  readonly complaints: string[] = [];
  /** Addresses that it asked, other than its own origin. */
  readonly foreign: string[] = [];

  private constructor(readonly page: Page) {}

  static async open(browser: Browser, url: string): Promise<WatchedPage> {
    const page = await browser.newPage();
    page.setDefaultTimeout(WAIT_TIMEOUT_MS);
    const watched = new WatchedPage(page);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warn") watched.complaints.push(message.text());
    });
    page.on("pageerror", (error) => watched.complaints.push(String(error)));
    page.on("request", (request) => {
      const asked = new URL(request.url());
      if (asked.protocol !== "data:" && asked.origin !== new URL(url).origin) {
        watched.foreign.push(request.url());
      }
    });
    await page.setViewport(DESKTOP);
    await page.goto(url);
    return watched;
  }

  /** Runs an expression in the page. */
  evaluate<T>(expression: string): Promise<T> {
    return this.page.evaluate(expression) as Promise<T>;
  }

  /** Waits until an expression is true in the page. @throws Error with what stood there instead. */
  async until(expression: string): Promise<void> {
    try {
      await this.page.waitForFunction(expression, { polling: 50 });
    } catch (cause) {
      const shown = await this.evaluate<string>("document.body.innerText");
      throw new Error(`the page never came to ${expression}; it shows:\n${shown}`, { cause });
    }
  }

  /** Text of the first element; empty if there is none. */
  text(selector: string): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`);
  }

  async click(selector: string): Promise<void> {
    await this.page.locator(selector).click();
  }

  /**
   * Puts this text in the place of what stands in a field, as one input. (The locator's `fill` empties the field first,
   * and no event tells the page: drawn anew just then, it has its old text back, and the new one behind it.)
   */
  async fill(selector: string, text: string): Promise<void> {
    await this.page.waitForSelector(selector, { visible: true });
    const replace = `const field = document.querySelector(${JSON.stringify(selector)});
      field.focus();
      field.select();
      document.execCommand("insertText", false, ${JSON.stringify(text)});
      if (field.value !== ${JSON.stringify(text)}) throw new Error("the field took " + field.value);`;
    await this.evaluate(`(() => { ${replace} })()`);
  }

  /** What axe-core finds wrong with the page as it is, one line each. */
  async accessibilityProblems(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    const { violations } = await this.evaluate<AxeResults>("axe.run()");
    return violations.map(({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`
    );
  }
}
