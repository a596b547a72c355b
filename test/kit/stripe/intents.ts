import { randomBytes } from 'node:crypto'
import { type Draft, type Outcome, type StripeObject, stripeId } from './books.ts'
import { cardOf, paymentMethodOf } from './cards.ts'
import { fail, settle, takeAuthorised } from './charges.ts'
import { checkCharge, checkUnits } from './currencies.ts'
import { amountOf, flagOf, invalid, known, metadataOf, missing, oneOf, refused, type StripeFailure } from './failure.ts'
import { group, type Params, text, texts } from './form.ts'

const ok = (body: object): Outcome => ({ status: 200, body })
const CONFIRMING = [
  'payment_method',
  'return_url',
  'use_stripe_sdk',
  'off_session',
  'error_on_requires_action',
] as const

/** A new PaymentIntent; confirmed at once when asked, and kept also when that is declined. */
export function createIntent(draft: Draft, params: Params, url: string): Outcome {
  if ('payment_method_types' in params)
    throw invalid(
      'payment_method_types is no longer supported.',
      'payment_method_types',
      'payment_method_types_no_longer_supported',
    )
  known(
    params,
    ...CONFIRMING,
    ...['amount', 'currency', 'confirm', 'capture_method', 'automatic_payment_methods', 'allowed_payment_method_types'],
    ...['metadata', 'description', 'statement_descriptor_suffix', 'receipt_email', 'confirmation_method', 'customer'],
  )
  const amount = amountOf(params, 'amount')
  const currency = text(params, 'currency')
  if (amount === undefined) throw invalid('Missing required param: amount.', 'amount', 'parameter_missing')
  if (currency === undefined) throw invalid('Missing required param: currency.', 'currency', 'parameter_missing')
  checkCharge(currency, amount)
  const confirm = flagOf(params, 'confirm')
  if (!confirm && text(params, 'return_url') !== undefined)
    throw invalid('The parameter `return_url` can only be used with `confirm`.', 'return_url')
  const types = texts(params, 'allowed_payment_method_types')
  const automatic = group(params, 'automatic_payment_methods')
  if (types.length > 0 && 'automatic_payment_methods' in params)
    throw invalid(
      'You may only specify one of these parameters: allowed_payment_method_types, automatic_payment_methods.',
      'automatic_payment_methods',
      'parameters_exclusive',
    )
  const id = stripeId('pi')
  const paymentMethod = paymentMethodIn(params)
  const intent = draft.put({
    id,
    object: 'payment_intent',
    allowed_payment_method_types: types.length > 0 ? types : null,
    amount,
    amount_capturable: 0,
    amount_received: 0,
    automatic_payment_methods:
      types.length > 0 ? null : { enabled: true, allow_redirects: text(automatic, 'allow_redirects') ?? 'always' },
    canceled_at: null,
    cancellation_reason: null,
    capture_method: oneOf(params, 'capture_method', 'automatic', 'automatic_async', 'manual') ?? 'automatic_async',
    client_secret: `${id}_secret_${randomBytes(12).toString('hex')}`,
    confirmation_method: 'automatic',
    created: draft.now(),
    currency,
    customer: null,
    description: text(params, 'description') ?? null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    metadata: metadataOf({}, params),
    next_action: null,
    payment_method: paymentMethod ?? null,
    payment_method_types: types.length > 0 ? types : ['card'],
    processing: null,
    receipt_email: text(params, 'receipt_email') ?? null,
    status: paymentMethod === undefined ? 'requires_payment_method' : 'requires_confirmation',
  })
  draft.tell('payment_intent.created', intent)
  return confirm ? pay(draft, intent, params, url) : ok(intent)
}

/** Tries to take the money, as long as none was taken. */
export function confirmIntent(draft: Draft, params: Params, url: string, id: string): Outcome {
  known(params, ...CONFIRMING, 'capture_method', 'receipt_email', 'payment_method_options')
  const intent = draft.read('payment_intent', id, 'intent')
  const paymentMethod = paymentMethodIn(params)
  allow(intent, 'confirmed', 'requires_payment_method', 'requires_confirmation', 'requires_action')
  const asked = paymentMethod === undefined ? intent : { ...intent, payment_method: paymentMethod }
  return pay(draft, asked, params, url)
}

function pay(draft: Draft, intent: StripeObject, params: Params, url: string): Outcome {
  const card = cardOf(intent.payment_method)
  if (!card)
    throw unexpected(
      intent,
      "You cannot confirm this PaymentIntent because it's missing a payment method. Update the PaymentIntent with a payment method and then confirm it again.",
    )
  const returnUrl = text(params, 'return_url')
  if (returnUrl === undefined && intent.automatic_payment_methods?.allow_redirects === 'always')
    throw invalid(
      "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never`.",
      'return_url',
      'parameter_missing',
    )
  if (card.pays === 'after-authentication') {
    const scripted = flagOf(params, 'use_stripe_sdk')
    if (flagOf(params, 'error_on_requires_action') || flagOf(params, 'off_session'))
      return answerOf(
        fail(draft, intent, {
          type: 'card_error',
          code: 'authentication_required',
          decline_code: 'authentication_required',
          message: 'Your card was declined. This transaction requires authentication.',
        }),
      )
    const waiting = draft.put({
      ...intent,
      status: 'requires_action',
      next_action: actionOf(intent, scripted ? undefined : returnUrl, url),
    })
    draft.tell('payment_intent.requires_action', waiting)
    return ok(waiting)
  }
  if (card.pays === 'later') {
    const processing = draft.put({ ...intent, status: 'processing', next_action: null, last_payment_error: null })
    draft.tell('payment_intent.processing', processing)
    return ok(processing)
  }
  return answerOf(settle(draft, intent, card))
}

/** Takes authorised money: all of it, or less. */
export function captureIntent(draft: Draft, params: Params, _url: string, id: string): Outcome {
  known(params, 'amount_to_capture', 'metadata', 'final_capture', 'statement_descriptor_suffix')
  const intent = draft.read('payment_intent', id, 'intent')
  allow(intent, 'captured', 'requires_capture')
  const amount = amountOf(params, 'amount_to_capture') ?? intent.amount_capturable
  checkUnits(intent.currency, amount)
  if (amount > intent.amount_capturable)
    throw refused(
      'amount_too_large',
      'The payment could not be captured because the requested capture amount is greater than the authorized amount.',
      { param: 'amount_to_capture' },
    )
  return ok(takeAuthorised(draft, { ...intent, metadata: metadataOf(intent.metadata, params) }, amount))
}

/** Ends an intent that has taken no money; an authorisation is let go, and is no refund. */
export function cancelIntent(draft: Draft, params: Params, _url: string, id: string): Outcome {
  known(params, 'cancellation_reason')
  const reason = oneOf(
    params,
    'cancellation_reason',
    ...(['duplicate', 'fraudulent', 'requested_by_customer', 'abandoned'] as const),
  )
  const intent = draft.read('payment_intent', id, 'intent')
  allow(
    intent,
    'canceled',
    ...['requires_payment_method', 'requires_capture', 'requires_confirmation', 'requires_action'],
  )
  return ok(endIntent(draft, intent, reason ?? null))
}

/** Cancelled, for a caller's reason or because its authorisation is `expired`. */
export function endIntent(draft: Draft, intent: StripeObject, reason: string | null): StripeObject {
  if (reason === 'expired') draft.tell('charge.expired', draft.read('charge', intent.latest_charge, 'charge'))
  const ended = draft.put({
    ...intent,
    status: 'canceled',
    amount_capturable: 0,
    canceled_at: draft.now(),
    cancellation_reason: reason,
    next_action: null,
  })
  draft.tell('payment_intent.canceled', ended)
  return ended
}

/** Changes metadata (an empty value removes its name), description, and the amount while nothing was tried. */
export function updateIntent(draft: Draft, params: Params, _url: string, id: string): Outcome {
  known(params, 'metadata', 'description', 'amount', 'payment_method', 'receipt_email')
  const amount = amountOf(params, 'amount')
  const paymentMethod = paymentMethodIn(params)
  const intent = draft.read('payment_intent', id, 'intent')
  if (amount !== undefined || paymentMethod !== undefined) {
    allow(intent, 'updated', 'requires_payment_method', 'requires_confirmation', 'requires_action')
    checkCharge(intent.currency, amount ?? intent.amount)
  }
  return ok(
    draft.put({
      ...intent,
      amount: amount ?? intent.amount,
      description: text(params, 'description') ?? intent.description,
      metadata: metadataOf(intent.metadata, params),
      ...(paymentMethod === undefined ? {} : { payment_method: paymentMethod, status: 'requires_confirmation' }),
    }),
  )
}

/** The buyer has acted on what the intent asked of them; nothing happens when it asks nothing. */
export function authenticate(draft: Draft, intent: StripeObject, verdict: 'approve' | 'refuse'): StripeObject {
  if (intent.status !== 'requires_action') return intent
  if (verdict === 'approve') return settle(draft, intent, cardOf(intent.payment_method)!)
  return fail(draft, intent, {
    type: 'invalid_request_error',
    code: 'payment_intent_authentication_failure',
    message:
      'We are unable to authenticate your payment method. Please choose a different payment method and try again.',
  })
}

/** A 200 with the intent; a 402 with it when its card was declined just now. */
function answerOf(intent: StripeObject): Outcome {
  if (intent.status !== 'requires_payment_method') return ok(intent)
  return { status: 402, body: { error: { ...intent.last_payment_error, payment_intent: intent } } }
}

function actionOf(intent: StripeObject, returnUrl: string | undefined, url: string): object {
  if (returnUrl === undefined)
    return {
      type: 'use_stripe_sdk',
      use_stripe_sdk: { type: 'three_d_secure_redirect', stripe_js: `${url}/pay/${intent.id}` },
    }
  return { type: 'redirect_to_url', redirect_to_url: { url: `${url}/pay/${intent.id}`, return_url: returnUrl } }
}

function paymentMethodIn(params: Params): string | undefined {
  const id = text(params, 'payment_method')
  if (id !== undefined && !cardOf(id)) throw missing('PaymentMethod', id, 'payment_method', 400)
  return id
}

function allow(intent: StripeObject, verb: string, ...statuses: readonly string[]): void {
  if (statuses.includes(intent.status)) return
  throw unexpected(
    intent,
    `This PaymentIntent could not be ${verb} because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be ${verb}: ${statuses.join(', ')}.`,
  )
}

const unexpected = (intent: StripeObject, message: string): StripeFailure =>
  refused('payment_intent_unexpected_state', message, {
    payment_intent: intent,
    ...(intent.payment_method === null ? {} : { payment_method: paymentMethodOf(intent.payment_method) }),
  })
