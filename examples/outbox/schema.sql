CREATE TABLE IF NOT EXISTS orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer text NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0)
);

-- Events that are not yet published. A row is written in the transaction of what it tells.
CREATE TABLE IF NOT EXISTS outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target jsonb NOT NULL,
  draft jsonb NOT NULL
);

CREATE OR REPLACE FUNCTION notify_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('outbox', '');
  RETURN NULL;
END $$;

-- The relay hears it when the transaction is committed.
CREATE OR REPLACE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION notify_relay();
