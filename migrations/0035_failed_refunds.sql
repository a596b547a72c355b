-- Refunds that a provider could not make: money that a person has to send back another way.
create index refunds_failed on payments.refunds (payment_id) where status = 'failed';
