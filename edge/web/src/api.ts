// The two calls that a browser makes, with a publishable key.

import { encryptCard, type EncryptionKey, type PlainCard } from "./encrypt";
import type { CardToken, TokenError, TokenResult } from "./protocol";

const KEY_UNKNOWN = "card_encryption_key_unknown";
const NO_ANSWER: TokenError = {
  code: "network_error",
  message: "The card could not be sent. Check the connection and try again.",
};

export interface Purpose {
  readonly publishableKey: string;
  readonly paymentIntentId: string;
  readonly clientSecret: string;
}

/** Makes a token; once more with fresh keys if the first turned out to be out of use. */
export async function createToken(card: PlainCard, purpose: Purpose): Promise<TokenResult> {
  try {
    const result = await tryToken(card, purpose);
    return result.error?.code === KEY_UNKNOWN ? await tryToken(card, purpose) : result;
  } catch {
    return { error: NO_ANSWER };
  }
}

async function tryToken(card: PlainCard, purpose: Purpose): Promise<TokenResult> {
  const keys = await call("GET", "/card-encryption-keys", purpose);
  if (keys.error) return { error: keys.error };
  const [key] = (keys.body as { keys: EncryptionKey[] }).keys;
  if (key === undefined) throw new TypeError("no key");
  const encryptedCard = await encryptCard(card, key);
  const { paymentIntentId, clientSecret } = purpose;
  const made = await call("POST", "/card-tokens", purpose, {
    paymentIntentId,
    clientSecret,
    encryptedCard,
  });
  return made.error ? { error: made.error } : { token: made.body as CardToken };
}

async function call(
  method: string,
  path: string,
  purpose: Purpose,
  body?: object,
): Promise<{ body?: unknown; error?: TokenError }> {
  const headers: Record<string, string> = { Authorization: `Bearer ${purpose.publishableKey}` };
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    body: body ? JSON.stringify(body) : null,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    referrerPolicy: "no-referrer",
  });
  const found: unknown = await response.json();
  return response.ok ? { body: found } : { error: (found as { error: TokenError }).error };
}
