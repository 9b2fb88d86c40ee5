-- A ticket's token is found by (org_id, site_id, token_hash), the primary key; what finds the tokens of a ticket must not
-- look as good. PostgreSQL takes org and site for independent, guesses that a site has one token, and then prefers the smaller
-- index, by which it reads every token of the site: at a million rows each request with a token did. Led by the ticket
-- within the org, the index serves the foreign key as before and a token's lookup never.

set local role vicket_owner;
create index ticket_tokens_of_ticket on vicket.ticket_tokens (org_id, ticket_id, site_id);
drop index vicket.ticket_tokens_ticket;
reset role;
