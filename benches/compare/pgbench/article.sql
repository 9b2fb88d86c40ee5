\set site random(1, :sites)
-- One of the 20 newest that are published: every fourth is a draft.
\set nth random(131, 150)
\set article :nth + (:nth - 1) / 3
BEGIN;
SELECT set_config('app.site_id', site_id::text, true), set_config('role', 'baseline_widget', true) FROM app.site_keys WHERE key_hash = sha256(('baseline_' || lpad(:site::text, 24, '0'))::bytea) AND revoked_at IS NULL;
SELECT id, slug, title, excerpt, body_markdown FROM app.articles WHERE slug = 'article-' || :article::text AND published;
COMMIT;
