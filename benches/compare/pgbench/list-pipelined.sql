\set site random(1, :sites)
\startpipeline
BEGIN;
SELECT set_config('app.site_id', site_id::text, true), set_config('role', 'baseline_widget', true) FROM app.site_keys WHERE key_hash = sha256(('baseline_' || lpad(:site::text, 24, '0'))::bytea) AND revoked_at IS NULL;
SELECT id, slug, title, excerpt FROM app.articles WHERE published ORDER BY published_at DESC, id DESC LIMIT 20;
COMMIT;
\endpipeline
