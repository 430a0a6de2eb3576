// paymesh.js, for the merchant's page: puts the card frame there and gets a token out of it.
//
//   const card = Paymesh("pk_test_…").elements().card({ paymentIntentId, clientSecret });
//   card.mount("#card");
//   const { token, error } = await card.createToken();
//
// The page never sees a card number: it is typed into a frame of paymesh's own origin.

import {
  READY,
  type Appearance,
  type Init,
  type Look,
  type State,
  type TokenResult,
  type ToFrame,
  type ToPage,
} from "./protocol";

const ORIGIN = originOfThisScript();
const PREFERS_DARK = matchMedia("(prefers-color-scheme: dark)");
const CREATED_MS_MAX = 30_000;
const NOT_MOUNTED: TokenResult = {
  error: { code: "not_mounted", message: "The card field is not on the page." },
};
const NO_ANSWER: TokenResult = {
  error: { code: "network_error", message: "The card field does not answer. Try again." },
};

export interface CardOptions {
  readonly paymentIntentId: string;
  readonly clientSecret: string;
}

class CardElement {
  readonly #init: Omit<Init, "look">;
  readonly #appearance: Appearance;
  readonly #listeners = new Set<(state: State) => void>();
  readonly #calls = new Map<number, (result: TokenResult) => void>();
  #frame: HTMLIFrameElement | null = null;
  #port: MessagePort | null = null;
  #stop = new AbortController();
  #lastCall = 0;

  constructor(init: Omit<Init, "look">, appearance: Appearance) {
    this.#init = init;
    this.#appearance = appearance;
  }

  /** Puts the field into an element, or into what a selector finds. */
  mount(target: string | Element): void {
    const parent = typeof target === "string" ? document.querySelector(target) : target;
    if (parent === null) throw new Error(`Paymesh: there is no ${String(target)} on this page.`);
    this.unmount();
    const frame = document.createElement("iframe");
    frame.src = `${ORIGIN}/card-frame?key=${encodeURIComponent(this.#init.publishableKey)}`;
    frame.title = "Secure card payment";
    frame.allow = "";
    frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms");
    frame.style.cssText = "border:0;width:100%;height:10.5em;display:block";
    this.#stop = new AbortController();
    PREFERS_DARK.addEventListener("change", () => this.#tell({ type: "look", look: this.#look() }), {
      signal: this.#stop.signal,
    });
    window.addEventListener("message", (event) => this.#onMessage(event), {
      signal: this.#stop.signal,
    });
    this.#frame = frame;
    parent.replaceChildren(frame);
  }

  /** Takes the field away, and with it what was typed. */
  unmount(): void {
    this.#stop.abort();
    this.#port?.close();
    this.#port = null;
    this.#frame?.remove();
    this.#frame = null;
    for (const settle of this.#calls.values()) settle(NOT_MOUNTED);
    this.#calls.clear();
  }

  /** Calls the listener whenever what is typed changes; never with a digit of it. */
  onChange(listener: (state: State) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  focus(): void {
    this.#tell({ type: "focus" });
  }

  clear(): void {
    this.#tell({ type: "clear" });
  }

  /** Makes a single-use token of the card, good for 15 minutes; the merchant's server charges it. */
  createToken(): Promise<TokenResult> {
    if (this.#port === null) return Promise.resolve(NOT_MOUNTED);
    const call = (this.#lastCall += 1);
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(NO_ANSWER), CREATED_MS_MAX);
      const settle = (result: TokenResult): void => {
        clearTimeout(timer);
        this.#calls.delete(call);
        resolve(result);
      };
      this.#calls.set(call, settle);
      this.#tell({ type: "createToken", call });
    });
  }

  #tell(message: ToFrame): void {
    this.#port?.postMessage(message);
  }

  /** Hands the frame its port, once; whoever else sends something is not listened to. */
  #onMessage(event: MessageEvent): void {
    const window = this.#frame?.contentWindow;
    if (event.origin !== ORIGIN || event.source !== window || event.data !== READY) return;
    this.#port?.close();
    const channel = new MessageChannel();
    this.#port = channel.port1;
    this.#port.onmessage = ({ data }: MessageEvent<ToPage>) => this.#onTold(data);
    const init: Init = { ...this.#init, look: this.#look() };
    window?.postMessage(init, ORIGIN, [channel.port2]);
  }

  /** Works the appearance out. A frame of another colour scheme than its page's gets a backdrop. */
  #look(): Look {
    const { theme = "auto", variables = {} } = this.#appearance;
    const isDark = theme === "dark" || (theme === "auto" && PREFERS_DARK.matches);
    const look: Look = { theme: isDark ? "dark" : "light", variables };
    if (this.#frame) this.#frame.style.colorScheme = look.theme;
    return look;
  }

  #onTold(message: ToPage): void {
    switch (message.type) {
      case "state":
        for (const listener of this.#listeners) listener(message.state);
        break;
      case "height":
        if (this.#frame) this.#frame.style.height = `${message.px}px`;
        break;
      case "created":
        this.#calls.get(message.call)?.(message.result);
        break;
    }
  }
}

class Elements {
  readonly #publishableKey: string;
  readonly #appearance: Appearance;

  constructor(publishableKey: string, appearance: Appearance) {
    this.#publishableKey = publishableKey;
    this.#appearance = appearance;
  }

  card({ paymentIntentId, clientSecret }: CardOptions): CardElement {
    return new CardElement(
      {
        type: "paymesh:card-frame:init",
        publishableKey: this.#publishableKey,
        paymentIntentId,
        clientSecret,
      },
      this.#appearance,
    );
  }
}

/** Begins with a publishable key, `pk_test_…` or `pk_live_…`. */
function Paymesh(publishableKey: string): { elements(appearance?: Appearance): Elements } {
  if (!/^pk_(test|live)_\w+$/.test(publishableKey)) {
    throw new Error("Paymesh: a publishable key begins with pk_test_ or pk_live_.");
  }
  return { elements: (appearance = {}) => new Elements(publishableKey, appearance) };
}

function originOfThisScript(): string {
  const script = document.currentScript;
  if (!(script instanceof HTMLScriptElement) || script.src === "") {
    throw new Error("Paymesh: load paymesh.js with a script element.");
  }
  return new URL(script.src).origin;
}

declare global {
  interface Window {
    Paymesh: typeof Paymesh;
  }
}
window.Paymesh = Paymesh;
