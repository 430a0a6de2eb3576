// The rules of a card's three fields, as a customer types them. No page, no network.

export type Brand = "visa" | "mastercard" | "unknown";

/** What is wrong with a field; the codes are those of the API. */
export type Problem =
  | "incomplete_number"
  | "incorrect_number"
  | "card_brand_not_supported"
  | "incomplete_expiry"
  | "invalid_expiry_month"
  | "expired_card"
  | "incomplete_cvc";

export interface Expiry {
  readonly month: number;
  /** Four digits. */
  readonly year: number;
}

const NUMBER_DIGITS_MAX = 19;
const CVC_DIGITS = 3;
const YEARS_AHEAD_MAX = 50;
/** The lengths that issuers of a brand use; 16 is what nearly all cards have. */
const LENGTHS: Record<Brand, readonly number[]> = {
  visa: [13, 16, 19],
  mastercard: [16],
  unknown: [16],
};

/** Keeps the digits of a text, also the full-width and Arabic ones that some keyboards give. */
export function digitsOf(text: string): string {
  return Array.from(text.normalize("NFKC"))
    .map((letter) => {
      const code = letter.codePointAt(0) ?? 0;
      if (code >= 0x0660 && code <= 0x0669) return String(code - 0x0660);
      if (code >= 0x06f0 && code <= 0x06f9) return String(code - 0x06f0);
      return letter;
    })
    .join("")
    .replace(/[^0-9]/g, "");
}

/** Tells the brand by the first digits, as soon as they leave one possible. */
export function brandOf(digits: string): Brand {
  if (digits.startsWith("4")) return "visa";
  const first2 = Number(digits.slice(0, 2));
  if (digits.length >= 2 && first2 >= 51 && first2 <= 55) return "mastercard";
  const first4 = Number(digits.slice(0, 4));
  if (digits.length >= 4 && first4 >= 2221 && first4 <= 2720) return "mastercard";
  return "unknown";
}

/** Whether no brand that can be charged begins like this, however it goes on. */
export function isOfNoBrand(digits: string): boolean {
  if (digits === "" || brandOf(digits) !== "unknown") return false;
  if (digits === "5" || digits === "2") return false;
  const head = digits.slice(0, 4);
  const low = Number(head.padEnd(4, "0"));
  const high = Number(head.padEnd(4, "9"));
  return high < 2221 || low > 2720;
}

/** ISO/IEC 7812-1, annex B. */
export function isLuhnValid(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place += 1) {
    const digit = Number(digits[digits.length - 1 - place]);
    const doubled = place % 2 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return digits.length > 0 && sum % 10 === 0;
}

export function formatNumber(text: string): string {
  return digitsOf(text).slice(0, NUMBER_DIGITS_MAX).replace(/(\d{4})(?=\d)/g, "$1 ");
}

/** Formats "MM / YY"; `isDeleting` leaves out the slash that would otherwise come back at once. */
export function formatExpiry(text: string, isDeleting = false): string {
  let digits = digitsOf(text);
  const parts = text.split("/");
  if (parts.length === 2 && digitsOf(parts[0] ?? "").length === 1) digits = `0${digits}`;
  if (/^[2-9]/.test(digits)) digits = `0${digits}`;
  const month = digits.slice(0, 2);
  // "12 / 2034" is what some autofill gives.
  const rest = digits.slice(2);
  const year = rest.length >= 4 ? rest.slice(2, 4) : rest.slice(0, 2);
  if (month.length < 2 || (isDeleting && year === "")) return month;
  return `${month} / ${year}`;
}

export function formatCvc(text: string): string {
  return digitsOf(text).slice(0, CVC_DIGITS);
}

export function checkNumber(text: string): Problem | null {
  const digits = digitsOf(text);
  if (isOfNoBrand(digits)) return "card_brand_not_supported";
  const lengths = LENGTHS[brandOf(digits)];
  if (lengths.includes(digits.length)) {
    if (isLuhnValid(digits)) return null;
    if (digits.length === Math.max(...lengths) || digits.length === 16) return "incorrect_number";
  }
  return digits.length >= Math.max(...lengths) ? "incorrect_number" : "incomplete_number";
}

export function checkExpiry(text: string, today: Date): Problem | null {
  const digits = digitsOf(text);
  if (digits.length < 4) {
    const month = Number(digits.slice(0, 2));
    const isNoMonth = digits.length >= 2 && (month < 1 || month > 12);
    return isNoMonth ? "invalid_expiry_month" : "incomplete_expiry";
  }
  const { month, year } = expiryOf(text, today);
  if (month < 1 || month > 12) return "invalid_expiry_month";
  const isOver = year * 12 + month < today.getFullYear() * 12 + today.getMonth() + 1;
  return isOver ? "expired_card" : null;
}

/** Reads "MM / YY"; the year is within the 50 years that begin with this one. */
export function expiryOf(text: string, today: Date): Expiry {
  const digits = digitsOf(text);
  const century = Math.floor(today.getFullYear() / 100) * 100;
  let year = century + Number(digits.slice(2, 4));
  if (year < today.getFullYear() - YEARS_AHEAD_MAX) year += 100;
  return { month: Number(digits.slice(0, 2)), year };
}

export function checkCvc(text: string): Problem | null {
  return digitsOf(text).length === CVC_DIGITS ? null : "incomplete_cvc";
}
