/**
 * The statements of a purchase, as the stores of orders, payments and catalogue send them: the same tables, rows, locks
 * and round trips, written down by hand. What the stores change in number or kind is to be changed here too.
 */
export type Statement = { readonly name: string; readonly text: string }

const named = <Name extends string>(texts: Record<Name, string>): Record<Name, Statement> =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, { name, text }])) as Record<Name, Statement>

const CART = 'id, status, user_id, order_id, currency, items, email, shipping_address, shipping_method, metadata'
const EVENTS = `insert into platform.events (type, subject, data, request_id, occurred_at)
  select type, subject, data, $1::text, $2::timestamptz from jsonb_to_recordset($3::jsonb) as e (type text, subject text, data jsonb)`

export const statements = named({
  insertCart: `insert into orders.carts (id, currency, items, email, shipping_address, shipping_method, created_at, updated_at)
    values ($1, $2, $3::jsonb, $4, $5, $6, $7, $7)`,

  findCart: `select ${CART} from orders.carts where id = $1`,

  readGoods: `select v.id as "variantId", p.id as "productId", v.sku, p.title, v.title as "variantTitle", v.options,
      coalesce(vi.url, (select i.url from catalog.images i where i.product_id = p.id order by i.position limit 1)) as image,
      c.amount_minor as "unitPriceMinor", v.requires_shipping as "requiresShipping",
      case when s.tracked and not s.back_order then greatest(0, s.on_hand - s.held - s.committed) end as available,
      v.status = 'active' and p.status = 'active' as "onSale"
    from catalog.variants v
    join catalog.products p on p.id = v.product_id
    join catalog.stock s on s.variant_id = v.id and s.location = 'main'
    left join catalog.prices c on c.variant_id = v.id and c.currency = $1
    left join catalog.images vi on vi.id = v.image_id
    where v.id = any($2::text[])`,

  putItem: `update orders.carts set updated_at = $1, items = items || jsonb_build_object($2::text,
        coalesce(items -> $2::text, jsonb_build_object('id', $3::text))
        || jsonb_build_object('quantity', coalesce((items -> $2::text ->> 'quantity')::integer, 0) + $4::integer))
    where id = $5 and status = 'open' and user_id is null
      and coalesce((items -> $2::text ->> 'quantity')::integer, 0) + $4::integer <= $6::integer
      and (items ? $2::text or (select count(*) from jsonb_object_keys(items)) < 100)
    returning ${CART}`,

  setDetails: `update orders.carts set updated_at = $1, email = $2, shipping_address = $3, shipping_method = $4
    where id = $5 and status = 'open' and user_id is null returning ${CART}`,

  freezeCart: `update orders.carts set status = 'ordered', order_id = $1, updated_at = $2
    where id = $3 and status = 'open' and user_id is null
    returning ${CART}, nextval('orders.order_numbers') as serial`,

  insertPayment: `insert into payments.payments
      (id, order_id, order_number, token_version, amount_minor, currency, payable_until, opened_at)
    values ($1, $2, $3, 1, $4, $5, $6, $7)`,

  insertOrder: `with inserted as (
      insert into orders.orders (id, number, cart_id, status, payment_status, fulfilment, return_status, payment_id, currency,
        subtotal_minor, discount_minor, shipping_minor, shipping_tax_minor, tax_minor, tax_included, total_minor, email,
        email_index, shipping_address, shipping_method, hold_until, placed_at, updated_at)
      values ($1, $2, $3, 'pending', 'unpaid', 'none', 'none', $4, $5, $6, 0, $7, 0, $8, true, $9, $10, $11, $12, $13::jsonb,
        $14, $15, $15)
    ), told as (
      insert into orders.timeline (order_id, at, kind, to_status, actor_kind) values ($1, $15, 'placed', 'pending', 'guest')
    )
    insert into orders.order_lines (order_id, position, id, variant_id, product_id, sku, title, variant_title, options,
      image, requires_shipping, metadata, unit_price_minor, quantity, subtotal_minor, discount_minor, total_minor,
      tax_rate, tax_included, tax_minor)
    select $1, l."position", l."id", l."variantId", l."productId", l."sku", l."title", l."variantTitle",
      l."options", l."image", l."requiresShipping", '{}', l."unitPriceMinor", l."quantity", l."totalMinor",
      0, l."totalMinor", 200000, true, l."taxMinor"
    from jsonb_to_recordset($16::jsonb) as l("position" integer, "id" text, "variantId" text,
      "productId" text, "sku" text, "title" text, "variantTitle" text, "options" jsonb, "image" text,
      "requiresShipping" boolean, "unitPriceMinor" bigint, "quantity" integer, "totalMinor" bigint, "taxMinor" bigint)`,

  holdStock: `with wanted as (
      select variant_id, quantity, price_minor
      from unnest($1::text[], $2::int[], $3::bigint[]) as given (variant_id, quantity, price_minor)),
    locked as (
      select s.variant_id, s.held, not s.tracked or s.back_order or s.on_hand - s.held - s.committed >= w.quantity as enough
      from catalog.stock s join wanted w using (variant_id)
      where s.location = 'main' order by s.variant_id for update of s),
    taken as (
      update catalog.stock s set held = l.held + w.quantity
      from locked l
      join wanted w using (variant_id)
      join catalog.variants v on v.id = w.variant_id and v.status = 'active'
      join catalog.products p on p.id = v.product_id and p.status = 'active'
      join catalog.prices c on c.variant_id = v.id and c.currency = $4 and c.amount_minor = w.price_minor
      where s.variant_id = l.variant_id and s.location = 'main' and l.enough
      returning s.variant_id, s.location, w.quantity),
    holds as (
      insert into catalog.holds (reference, variant_id, location, quantity, held, held_at)
      select $5::text, variant_id, location, quantity, quantity, $6::timestamptz from taken),
    movements as (
      insert into catalog.movements (variant_id, location, held_change, reason, reference, occurred_at)
      select variant_id, location, quantity, 'held', $5::text, $6::timestamptz from taken)
    select variant_id from taken`,

  finishWithReceipt: `with e as (${EVENTS}), r as (
      insert into platform.receipts (key, request_hash, status, location, sealed_body, created_at)
      values ($4, $5, 201, $6, $7, $2)) select 1`,

  finish: `with e as (${EVENTS}) select 1`,

  readForAttempt: `select p.id, p.order_id, p.status, p.amount_minor, p.currency, p.payable_until, a.request_hash, a.sealed_answer,
      exists (select from payments.attempts l where l.payment_id = p.id and l.lease_until is not null) as is_busy
    from payments.payments p left join payments.attempts a on a.payment_id = p.id and a.key_hash = $1 where p.id = $2`,

  openAttempt: `with payable as (
      update payments.payments set provider = 'sandbox',
        payable_until = greatest(payable_until, least($1::timestamptz + interval '15 minutes', opened_at + interval '60 minutes'))
      where id = $2 and status = 'open' and closing_reason is null and payable_until > $1
      returning id, provider_payment_id
    ), opened as (
      insert into payments.attempts (id, payment_id, key_hash, request_hash, provider, status, lease_until, created_at)
      select $3, id, $4, $5, 'sandbox', 'created', $6, $1 from payable
      on conflict do nothing returning payment_id
    )
    select p.provider_payment_id from opened join payable p on p.id = opened.payment_id`,

  lockPayment: `select p.id, p.order_id, p.status, p.amount_minor, p.currency, p.payable_until from payments.payments p
    where p.id = any(array(
      select unnest($1::text[])
      union select (select o.id from payments.payments o where o.provider = f.provider and o.provider_payment_id = f.id)
      from unnest($2::text[], $3::text[]) as f (provider, id)))
    order by p.id for update`,

  attemptsOf: `select a.id, a.payment_id, a.status, a.lease_until, a.created_at from payments.attempts a
    where a.payment_id = any($1::text[]) and (a.lease_until is not null or a.id = any($2::text[]))`,

  saveCapture: `with payment as (
      update payments.payments set status = 'captured', captured_minor = $2, provider_payment_id = $3 where id = $1
    ), attempt as (
      update payments.attempts set status = 'succeeded', lease_until = null, ended_at = $4, sealed_answer = $5 where id = $6
    ), capture as (
      insert into payments.captures (payment_id, provider, provider_payment_id, amount_minor, currency, surplus, captured_at)
      values ($1, 'sandbox', $3, $2, $7, false, $4)
    )
    insert into payments.ledger (payment_id, kind, debit, credit, amount_minor, currency, booked_at)
    values ($1, 'capture', 'provider:sandbox', 'sales', $2, $7, $4)`,

  readOrder: `select o.id, o.number, o.status, o.payment_status, o.payment_id, o.currency, o.subtotal_minor, o.shipping_minor,
      o.tax_minor, o.total_minor, o.email, o.shipping_address, o.shipping_method, o.hold_until, o.placed_at,
      (select json_agg(json_build_object('id', l.id, 'variantId', l.variant_id, 'productId', l.product_id, 'sku', l.sku,
          'title', l.title, 'variantTitle', l.variant_title, 'options', l.options, 'image', l.image,
          'unitPriceMinor', l.unit_price_minor, 'quantity', l.quantity, 'totalMinor', l.total_minor, 'taxMinor', l.tax_minor)
        order by l.position) from orders.order_lines l where l.order_id = o.id) as lines
    from orders.orders o where o.id = $1`,

  readPayment: `select p.id, p.status, p.amount_minor, p.currency,
      exists (select from payments.attempts a where a.payment_id = p.id and a.lease_until is not null) as is_busy
    from payments.payments p where p.id = any($1::text[])`,

  storeWebhook: `insert into payments.inbox
      (provider, event_id, type, provider_payment_id, claims_capture, sealed_body, received_at, due_at)
    values ('sandbox', $1, $2, $3, true, $4, $5, $5) on conflict do nothing`,

  claimInbox: `with due as (
      select i.id, i.claims_capture and coalesce((
          select p.status = 'captured'
            and not exists (select from payments.attempts a where a.payment_id = p.id and a.lease_until is not null)
          from payments.payments p where p.provider = i.provider and p.provider_payment_id = i.provider_payment_id
        ), false) as known
      from payments.inbox i where i.due_at <= $1
      order by i.due_at, i.id limit 50 for update skip locked
    )
    update payments.inbox i set tries = i.tries + 1,
      due_at = case when due.known then null else $1::timestamptz + interval '1 second' end,
      done_at = case when due.known then $1::timestamptz end
    from due where i.id = due.id returning i.id`,

  claimEvents: `select id, type, subject, data from platform.events
    where published_at is null order by id limit 100 for update skip locked`,

  consume: `insert into platform.consumed (consumer, event_id, consumed_at)
    select 'orders.mark-paid', id, $1::timestamptz from unnest($2::bigint[]) as id on conflict do nothing returning event_id`,

  markPaid: `with locked as (
      select id from orders.orders where id = any($1::text[]) and status = 'pending' order by id for update
    ), paid as (
      update orders.orders o set status = 'paid', payment_status = 'paid', hold_until = null, updated_at = $2
      from locked where o.id = locked.id returning o.id, o.number, o.total_minor, o.currency
    ), told as (
      insert into orders.timeline (order_id, at, kind, from_status, to_status, actor_kind)
      select id, $2, 'paid', 'pending', 'paid', 'system' from paid
    )
    select id, number, total_minor as "totalMinor", currency from paid`,

  commitStock: `with changes as (
      select h.reference, h.variant_id, h.location, h.held from catalog.holds h
      where h.reference = any($1::text[]) and h.held > 0
      order by h.reference, h.variant_id, h.location for update of h),
    totals as (select variant_id, location, sum(held)::int as held from changes group by variant_id, location),
    locked as (
      select s.variant_id, s.location, s.held, s.committed from catalog.stock s join totals using (variant_id, location)
      order by s.variant_id, s.location for update of s),
    counted as (
      update catalog.stock s set held = l.held - t.held, committed = l.committed + t.held
      from locked l join totals t using (variant_id, location) where s.variant_id = l.variant_id and s.location = l.location),
    settled as (
      update catalog.holds h set held = 0, committed = h.committed + c.held from changes c
      where h.reference = c.reference and h.variant_id = c.variant_id and h.location = c.location)
    insert into catalog.movements (variant_id, location, held_change, committed_change, reason, reference, occurred_at)
    select c.variant_id, c.location, -c.held, c.held, 'committed', c.reference, $2::timestamptz from changes c`,

  markPublished: 'update platform.events set published_at = $1 where id = any($2::bigint[])',
})
