// The card frame's page: three fields, on paymesh's origin. Digits leave it encrypted, or not at all.

import { createToken, type Purpose } from "./api";
import {
  brandOf,
  checkCvc,
  checkExpiry,
  checkNumber,
  digitsOf,
  expiryOf,
  formatCvc,
  formatExpiry,
  formatNumber,
  type Problem,
} from "./card";
import {
  isInit,
  READY,
  VARIABLES,
  type Field,
  type Look,
  type State,
  type ToFrame,
  type ToPage,
  type TokenResult,
} from "./protocol";

const FIELDS: readonly Field[] = ["number", "expiry", "cvc"];
const TEXTS: Record<Problem, string> = {
  incomplete_number: "The card number is incomplete.",
  incorrect_number: "The card number is incorrect.",
  card_brand_not_supported: "Cards of this brand can’t be charged.",
  incomplete_expiry: "The expiry date is incomplete.",
  invalid_expiry_month: "The month of expiry must be 01 to 12.",
  expired_card: "The card has expired.",
  incomplete_cvc: "The security code is incomplete.",
};
const BRANDS = { visa: "Visa", mastercard: "Mastercard", unknown: "" };
/** Which field an error of the API is about, by its code. */
const FIELD_BY_CODE: Record<string, Field> = {
  incorrect_number: "number",
  card_brand_not_supported: "number",
  invalid_expiry_month: "expiry",
  invalid_expiry_year: "expiry",
  expired_card: "expiry",
  invalid_cvc: "cvc",
};
const SAFE_VALUE = /^[\w\s#%.,()"'-]{1,100}$/;

class Frame {
  readonly #inputs: Record<Field, HTMLInputElement>;
  readonly #brand = element("brand", HTMLElement);
  readonly #problem = element("problem", HTMLElement);
  readonly #left = new Set<Field>();
  readonly #refused = new Map<Field, { text: string; value: string }>();
  #port: MessagePort | null = null;
  #purpose: Purpose | null = null;
  #isBusy = false;

  constructor() {
    this.#inputs = {
      number: element("number", HTMLInputElement),
      expiry: element("expiry", HTMLInputElement),
      cvc: element("cvc", HTMLInputElement),
    };
    for (const field of FIELDS) {
      const input = this.#inputs[field];
      input.addEventListener("input", (event) => this.#onInput(field, event));
      input.addEventListener("blur", () => this.#onBlur(field));
      input.addEventListener("keydown", (event) => this.#onKey(field, event));
      input.value = formatOf(field)(input.value); // typed or filled in before this script was here
    }
    element("form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
    new ResizeObserver(() => this.#tellHeight()).observe(document.body);
    this.#show();
  }

  /** Takes the page's port; only the page around the frame can have sent it. */
  begin(port: MessagePort, purpose: Purpose, look: Look): void {
    this.#port?.close();
    this.#port = port;
    this.#purpose = purpose;
    port.onmessage = ({ data }: MessageEvent<ToFrame>) => void this.#onTold(data);
    this.#dress(look);
    this.#tell({ type: "state", state: this.#state() });
    this.#tellHeight();
  }

  async #onTold(message: ToFrame): Promise<void> {
    switch (message.type) {
      case "createToken":
        this.#tell({ type: "created", call: message.call, result: await this.#createToken() });
        break;
      case "focus":
        this.#inputs.number.focus();
        break;
      case "clear":
        this.#clear();
        break;
      case "look":
        this.#dress(message.look);
        break;
    }
  }

  async #createToken(): Promise<TokenResult> {
    for (const field of FIELDS) this.#left.add(field);
    this.#show();
    const wrong = FIELDS.find((field) => this.#problemOf(field) !== null);
    if (wrong !== undefined) {
      this.#inputs[wrong].focus();
      const code = this.#problemOf(wrong) as Problem;
      return { error: { code, message: TEXTS[code] } };
    }
    if (this.#purpose === null || this.#isBusy) {
      return { error: { code: "busy", message: "A token is being made already." } };
    }
    this.#setBusy(true);
    try {
      const { month, year } = expiryOf(this.#inputs.expiry.value, new Date());
      const result = await createToken(
        {
          number: digitsOf(this.#inputs.number.value),
          exp_month: month,
          exp_year: year,
          cvc: digitsOf(this.#inputs.cvc.value),
        },
        this.#purpose,
      );
      this.#onResult(result);
      return result;
    } finally {
      this.#setBusy(false);
    }
  }

  #onResult(result: TokenResult): void {
    const field = result.error && FIELD_BY_CODE[result.error.code];
    if (result.error && field) {
      const input = this.#inputs[field];
      this.#refused.set(field, { text: result.error.message, value: input.value });
      this.#show();
      input.focus();
    }
  }

  #setBusy(isBusy: boolean): void {
    this.#isBusy = isBusy;
    for (const field of FIELDS) this.#inputs[field].readOnly = isBusy;
    element("form", HTMLFormElement).setAttribute("aria-busy", String(isBusy));
  }

  #clear(): void {
    for (const field of FIELDS) this.#inputs[field].value = "";
    this.#left.clear();
    this.#refused.clear();
    this.#show();
  }

  #onInput(field: Field, event: Event): void {
    const input = this.#inputs[field];
    const isDeleting = event instanceof InputEvent && event.inputType.startsWith("delete");
    const before = digitsOf(input.value.slice(0, input.selectionStart ?? input.value.length)).length;
    const isAtEnd = input.selectionStart === input.value.length;
    input.value = formatOf(field)(input.value, isDeleting);
    if (!isAtEnd) {
      const place = placeAfter(input.value, before);
      input.setSelectionRange(place, place);
    }
    this.#left.delete(field);
    this.#show();
    const isDone = isAtEnd && !isDeleting && this.#problemOf(field) === null;
    if (isDone) this.#goOn(field, input);
  }

  /** Moves to the next field once this one can't get longer. */
  #goOn(field: Field, input: HTMLInputElement): void {
    const next = FIELDS[FIELDS.indexOf(field) + 1];
    const isFull = field !== "number" || digitsOf(input.value).length >= 16;
    if (next !== undefined && isFull && this.#inputs[next].value === "") {
      this.#inputs[next].focus();
    }
  }

  #onBlur(field: Field): void {
    if (this.#inputs[field].value !== "") this.#left.add(field);
    this.#show();
  }

  /** Backspace in an empty field goes back to the one before. */
  #onKey(field: Field, event: KeyboardEvent): void {
    const before = FIELDS[FIELDS.indexOf(field) - 1];
    if (event.key === "Backspace" && this.#inputs[field].value === "" && before !== undefined) {
      event.preventDefault();
      this.#inputs[before].focus();
    }
  }

  #problemOf(field: Field): Problem | null {
    const { value } = this.#inputs[field];
    if (field === "number") return checkNumber(value);
    return field === "expiry" ? checkExpiry(value, new Date()) : checkCvc(value);
  }

  /** What to say of a field now: at once if more digits can't mend it, else once it was left. */
  #shownProblem(field: Field): Problem | null {
    const problem = this.#problemOf(field);
    const isEarly = problem === null || problem.startsWith("incomplete");
    return isEarly && !this.#left.has(field) ? null : problem;
  }

  #state(): State {
    const problems: Partial<Record<Field, Problem>> = {};
    for (const field of FIELDS) {
      const problem = this.#shownProblem(field);
      if (problem !== null) problems[field] = problem;
    }
    return {
      isComplete: FIELDS.every((field) => this.#problemOf(field) === null),
      isEmpty: FIELDS.every((field) => this.#inputs[field].value === ""),
      brand: brandOf(digitsOf(this.#inputs.number.value)),
      problems,
    };
  }

  #show(): void {
    const state = this.#state();
    let text = "";
    for (const field of FIELDS) {
      const problem = state.problems[field];
      const refused = this.#refused.get(field);
      const isRefused = refused !== undefined && refused.value === this.#inputs[field].value;
      this.#inputs[field].setAttribute("aria-invalid", String(problem !== undefined || isRefused));
      text ||= problem !== undefined ? TEXTS[problem] : isRefused ? refused.text : "";
    }
    if (this.#problem.textContent !== text) this.#problem.textContent = text;
    const name = BRANDS[state.brand];
    this.#brand.textContent = name;
    this.#brand.setAttribute("aria-label", name);
    this.#tell({ type: "state", state });
  }

  #dress(look: Look): void {
    const root = document.documentElement;
    root.dataset["theme"] = look.theme === "dark" ? "dark" : "light";
    for (const name of VARIABLES) {
      const value = look.variables?.[name];
      if (typeof value === "string" && SAFE_VALUE.test(value) && !/url|image/i.test(value)) {
        root.style.setProperty(`--${name}`, value);
      } else {
        root.style.removeProperty(`--${name}`);
      }
    }
  }

  #tellHeight(): void {
    this.#tell({ type: "height", px: Math.ceil(document.documentElement.offsetHeight) });
  }

  #tell(message: ToPage): void {
    this.#port?.postMessage(message);
  }
}

function formatOf(field: Field): (text: string, isDeleting?: boolean) => string {
  return { number: formatNumber, expiry: formatExpiry, cvc: formatCvc }[field];
}

/** Returns the place in a formatted text that has so many digits before it. */
function placeAfter(text: string, digits: number): number {
  let seen = 0;
  for (let place = 0; place < text.length; place += 1) {
    if (seen === digits) return place;
    if (/\d/.test(text.charAt(place))) seen += 1;
  }
  return text.length;
}

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${id}`);
  return found;
}

const frame = new Frame();
let page: string | null = null;

window.addEventListener("message", (event) => {
  const [port] = event.ports;
  const isPage = event.source === window.parent && window.parent !== window;
  // The first page to introduce itself stays the only one.
  if (!isPage || port === undefined || !isInit(event.data)) return;
  if (page !== null && page !== event.origin) return;
  page = event.origin;
  const { publishableKey, paymentIntentId, clientSecret, look } = event.data;
  frame.begin(port, { publishableKey, paymentIntentId, clientSecret }, look);
});
// It tells nothing, so it may go to any page; which pages may frame this one is for the CSP.
window.parent.postMessage(READY, "*");
