// Encrypts a card so that only txn_svc's key boundary can read it (RFC 7516).

import { CompactEncrypt, importJWK, type JWK } from "jose";

export interface PlainCard {
  readonly number: string;
  readonly exp_month: number;
  readonly exp_year: number;
  readonly cvc: string;
}

export interface EncryptionKey extends JWK {
  readonly kid: string;
}

/** Returns a compact JWE, ECDH-ES with A256GCM, good once and for 10 minutes. */
export async function encryptCard(card: PlainCard, key: EncryptionKey): Promise<string> {
  const content = {
    ...card,
    iat: Math.floor(Date.now() / 1000),
    nonce: crypto.randomUUID(),
  };
  const { kid, kty, crv, x, y } = key;
  if (kty !== "EC" || crv !== "P-256" || x === undefined || y === undefined) {
    throw new TypeError("not a key on P-256");
  }
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(content)))
    .setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM", kid })
    .encrypt(await importJWK({ kty, crv, x, y }, "ECDH-ES"));
}
