\set site random(1, :sites)
\startpipeline
BEGIN;
SELECT set_config('app.site_id', site_id::text, true), set_config('role', 'baseline_widget', true) FROM app.site_keys WHERE key_hash = sha256(('baseline_' || lpad(:site::text, 24, '0'))::bytea) AND revoked_at IS NULL;
INSERT INTO app.tickets (id, email, subject, message) VALUES (gen_random_uuid(), 'visitor@example.com', 'Cannot sign in', 'I reset my password twice and the link still says that it has expired. What should I do next?');
COMMIT;
\endpipeline
