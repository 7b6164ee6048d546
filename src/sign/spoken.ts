/** Fingerprints for people who compare by voice. */

/**
 * The 256 bits of `sha256:<hex>` as one decimal number, with zeros in front to 80 digits, in sixteen groups of five:
 * `echo "ibase=16; $(echo HEX | tr a-f A-F)" | bc` gives the same digits. No letter is heard as another, and nothing is lost.
 * Undefined = no SHA-256.
 */
export function spokenDigits(fingerprint: string): string | undefined {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(fingerprint)?.[1]
  if (hex === undefined) return undefined
  return BigInt(`0x${hex}`).toString().padStart(80, '0').match(/\d{5}/g)?.join(' ')
}
