// What the merchant's page and the card frame say to each other. A card's digits are in none of it.

import type { Brand, Problem } from "./card";

export type Theme = "light" | "dark";

export interface Appearance {
  /** "auto" follows the customer's system; it is what you get if you say nothing. */
  readonly theme?: Theme | "auto";
  readonly variables?: Partial<Record<Variable, string>>;
}

export const VARIABLES = [
  "colorText",
  "colorPlaceholder",
  "colorDanger",
  "colorBackground",
  "colorBorder",
  "colorFocus",
  "fontSize",
  "fontFamily",
  "borderRadius",
] as const;
export type Variable = (typeof VARIABLES)[number];

export type Field = "number" | "expiry" | "cvc";

export interface State {
  readonly isComplete: boolean;
  readonly isEmpty: boolean;
  readonly brand: Brand;
  /** Only of fields that the customer has left. */
  readonly problems: Partial<Record<Field, Problem>>;
}

/** What may be shown of a card. */
export interface CardSummary {
  readonly brand: string;
  readonly last4: string;
  readonly expMonth: number;
  readonly expYear: number;
}

export interface CardToken {
  readonly id: string;
  readonly card: CardSummary;
}

/** `code` as in the API's errors; "network_error" when no answer came. */
export interface TokenError {
  readonly code: string;
  readonly message: string;
  readonly requestId?: string;
}

export type TokenResult =
  | { readonly token: CardToken; readonly error?: undefined }
  | { readonly error: TokenError; readonly token?: undefined };

/** The frame says that it listens. It carries nothing, since the frame knows nobody yet. */
export const READY = "paymesh:card-frame:ready";

/** The page's one message to the frame's window; it brings the port for all others. */
export interface Init {
  readonly type: "paymesh:card-frame:init";
  readonly publishableKey: string;
  readonly paymentIntentId: string;
  readonly clientSecret: string;
  readonly look: Look;
}

/** An appearance as the page has worked it out. */
export interface Look {
  readonly theme: Theme;
  readonly variables: Partial<Record<Variable, string>>;
}

export type ToFrame =
  | { readonly type: "createToken"; readonly call: number }
  | { readonly type: "focus" }
  | { readonly type: "clear" }
  | { readonly type: "look"; readonly look: Look };

export type ToPage =
  | { readonly type: "state"; readonly state: State }
  | { readonly type: "height"; readonly px: number }
  | { readonly type: "created"; readonly call: number; readonly result: TokenResult };

export function isInit(data: unknown): data is Init {
  if (typeof data !== "object" || data === null) return false;
  const found = data as Partial<Record<keyof Init, unknown>>;
  return (
    found.type === "paymesh:card-frame:init" &&
    typeof found.publishableKey === "string" &&
    typeof found.paymentIntentId === "string" &&
    typeof found.clientSecret === "string" &&
    typeof found.look === "object" &&
    found.look !== null
  );
}
