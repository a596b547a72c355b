-- The catalogue: what is sold, at which prices, and how much of it there is.
-- A product and its variants, prices and images are one thing with one version; stock moves by itself.

create extension if not exists pg_trgm;

create schema catalog;

create table catalog.products (
  id               text collate "C" primary key,
  handle           text collate "C" not null unique,
  title            text not null,
  description      text not null default '',       -- as text, for search and plain clients
  description_html text not null default '',       -- sanitised: what is served
  description_given text not null default '',      -- as the shop wrote it: what is exported
  vendor           text not null default '',
  category         text not null default '',
  tags             text[] not null default '{}',
  status           text not null check (status in ('draft', 'active', 'archived')),
  options          text[] not null default '{}',   -- names, in order
  attributes       jsonb not null default '{}',    -- imported columns that have no place of their own; staff only
  metadata         jsonb not null default '{}',
  version          integer not null default 1,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  published_at     timestamptz,
  -- Derived from the product and its active variants whenever it is saved (domain/listing.ts).
  words            text not null default '',       -- lower case: title, vendor, category, tags, SKUs
  option_pairs     text[] not null default '{}',   -- 'Size=M' of every active variant
  search           tsvector not null generated always as (
    setweight(to_tsvector('english', title), 'A') ||
    setweight(to_tsvector('english', words), 'B') ||
    setweight(to_tsvector('english', description), 'D')) stored
);
create index products_newest on catalog.products (created_at desc, id desc) where status = 'active';
create index products_category on catalog.products (lower(category)) where status = 'active';
create index products_search on catalog.products using gin (search);
create index products_words on catalog.products using gin (words gin_trgm_ops);
create index products_tags on catalog.products using gin (tags);

-- Products whose words look like these: for searches that find nothing, which mostly are typing mistakes. A function,
-- because the threshold of the index is a setting; 0.3 finds two wrong letters in a word of five.
select word_similarity('', '');  -- loads the module that knows the setting
create function catalog.lookalikes(wanted text) returns table (id text, likeness real)
  language sql stable rows 50 set pg_trgm.word_similarity_threshold = 0.3 as $$
    with found as materialized (
      select id, word_similarity(wanted, words) as likeness from catalog.products
      where status = 'active' and wanted <% words)
    select id, likeness from found where likeness >= (select max(likeness) - 0.1 from found)
  $$;

create table catalog.images (
  id         text collate "C" primary key,
  product_id text collate "C" not null references catalog.products,
  position   integer not null,
  url        text not null,
  alt        text not null default '',
  unique (product_id, url)
);

create table catalog.variants (
  id                text collate "C" primary key,
  product_id        text collate "C" not null references catalog.products,
  position          integer not null,
  sku               text,                          -- may be missing and need not be unique: the id is the identity
  title             text,                          -- null: the product has no options
  options           jsonb not null default '{}',   -- {"Size": "M"}
  option_key        text collate "C" not null,     -- the option values in order, as JSON: the variant's identity in its product
  barcode           text,
  weight_grams      integer check (weight_grams >= 0),
  taxable           boolean not null default true,
  requires_shipping boolean not null default true,
  image_id          text collate "C" references catalog.images on delete set null,
  attributes        jsonb not null default '{}',
  metadata          jsonb not null default '{}',
  status            text not null check (status in ('active', 'archived')),
  unique (product_id, option_key)
);
create index variants_sku on catalog.variants (sku) where sku is not null;
create index variants_image on catalog.variants (image_id) where image_id is not null;

create table catalog.prices (
  variant_id       text collate "C" not null references catalog.variants,
  currency         text collate "C" not null check (currency ~ '^[A-Z]{3}$'),
  amount_minor     bigint not null check (amount_minor between 0 and 9007199254740991),
  compare_at_minor bigint check (compare_at_minor > amount_minor),
  primary key (variant_id, currency)
);

-- The lowest price of a product's active variants in each currency: derived, what lists filter, sort and facet by.
create table catalog.lowest_prices (
  product_id   text collate "C" not null references catalog.products,
  currency     text collate "C" not null,
  amount_minor bigint not null,
  primary key (product_id, currency)
);

create table catalog.locations (
  id   text collate "C" primary key,
  name text not null
);
insert into catalog.locations (id, name) values ('main', 'Main');

-- Available = on_hand − held − committed, without limit where not tracked or back-ordered.
create table catalog.stock (
  variant_id text collate "C" not null references catalog.variants,
  location   text collate "C" not null references catalog.locations,
  on_hand    integer not null default 0 check (on_hand between 0 and 1000000000),  -- physically there
  held       integer not null default 0 check (held >= 0),                         -- ordered, not paid
  committed  integer not null default 0 check (committed >= 0),                    -- paid, not shipped
  tracked    boolean not null default true,
  back_order boolean not null default false,
  shortage   integer not null default 0 check (shortage >= 0),                     -- sold, and gone by a later count
  primary key (variant_id, location),
  constraint stock_not_oversold check (not tracked or back_order or held + committed <= on_hand + shortage)
);

-- What an order has taken: every unit is in exactly one state. No foreign keys on the hot path: an insert here and into
-- movements would lock the variant's row each time.
create table catalog.holds (
  reference  text collate "C" not null,            -- the order
  variant_id text collate "C" not null,
  location   text collate "C" not null,
  quantity   integer not null check (quantity > 0),
  held       integer not null check (held >= 0),
  committed  integer not null default 0 check (committed >= 0),
  released   integer not null default 0 check (released >= 0),
  shipped    integer not null default 0 check (shipped >= 0),
  returned   integer not null default 0 check (returned between 0 and shipped),    -- came back and was restocked
  held_at    timestamptz not null,
  primary key (reference, variant_id, location),
  constraint holds_every_unit_once check (held + committed + released + shipped = quantity)
);
create index holds_live on catalog.holds (variant_id, location) where held + committed > 0;

-- Every change of stock, for ever: the counters of catalog.stock are the sums of these.
create table catalog.movements (
  id               bigint generated always as identity primary key,
  variant_id       text collate "C" not null,
  location         text collate "C" not null,
  on_hand_change   integer not null default 0,
  held_change      integer not null default 0,
  committed_change integer not null default 0,
  shortage         integer not null default 0,     -- the shortage that this change left behind
  reason           text not null check (reason in (
    'opening', 'adjustment', 'import', 'held', 'committed', 'expired', 'cancelled', 'reheld', 'shipped', 'returned')),
  reference        text collate "C",               -- the order or import
  actor_id         text collate "C",               -- the member of staff
  note             text,
  occurred_at      timestamptz not null
);
create index movements_variant on catalog.movements (variant_id, location, id);
create index movements_reference on catalog.movements (reference) where reference is not null;
do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    revoke update, delete, truncate on catalog.movements from stoa_app;
  end if;
end $$;

-- Imports ------------------------------------------------------------------------------------------------------------

-- One import of one file: how far it is, and what came of it.
create table catalog.imports (
  id          text collate "C" primary key,
  file_name   text not null,
  sha256      text collate "C" not null check (sha256 ~ '^[0-9a-f]{64}$'),
  options     jsonb not null,
  status      text not null check (status in ('waiting', 'running', 'finished', 'refused')),
  rows        integer not null default 0,           -- in the file, the header included
  rows_done   integer not null default 0,           -- the last row that is applied: where it goes on after a stop
  report      jsonb,
  problem     jsonb,                                -- why it was refused: row, column, detail
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  finished_at timestamptz
);
-- The same file with the same options is the same import until it is finished.
create unique index imports_unfinished on catalog.imports (sha256, options) where status in ('waiting', 'running');
create index imports_file on catalog.imports (sha256, finished_at) where status = 'finished';

-- Uploaded files, in pieces, until their import is finished.
create table catalog.import_pieces (
  import_id text collate "C" not null references catalog.imports on delete cascade,
  piece     integer not null,
  bytes     bytea not null,
  primary key (import_id, piece)
);
alter table catalog.import_pieces alter column bytes set storage external;

-- What a file last said of a product: equal content is not written again.
create table catalog.imported_products (
  product_id   text collate "C" primary key references catalog.products,
  file_name    text not null,
  content_hash bytea not null check (octet_length(content_hash) = 32)
);
create index imported_products_file on catalog.imported_products (file_name);

-- The quantity that the stock of a variant was last set by: later files change it by the difference.
create table catalog.imported_quantities (
  variant_id text collate "C" primary key references catalog.variants,
  quantity   integer not null
);
