/**
 * Ids are TypeIDs: a prefix that says what the thing is, then a UUIDv7 in base 32, so that text order is time order.
 * The prefix is part of the type: an order's id does not fit where a cart's is asked for.
 * https://github.com/jetify-com/typeid/tree/main/spec
 */
export type Id<Prefix extends string> = `${Prefix}_${string}`

export type UserId = Id<'usr'>
export type SessionId = Id<'ses'>
export type AddressId = Id<'adr'>
export type ApiKeyId = Id<'key'>
export type ProductId = Id<'prod'>
export type VariantId = Id<'var'>
export type ImageId = Id<'img'>
export type ImportId = Id<'imp'>
export type CartId = Id<'cart'>
export type CartItemId = Id<'item'>
export type OrderId = Id<'ord'>
export type ShipmentId = Id<'shp'>
export type NoteId = Id<'note'>
export type ErasureId = Id<'era'>
export type PaymentId = Id<'pay'>
export type AttemptId = Id<'att'>
export type CaptureId = Id<'cap'>
export type RefundId = Id<'ref'>

/** The regular expression that a TypeID of this prefix matches: what schemas validate ids with. */
export const idPattern = (prefix: string): string => `^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`
