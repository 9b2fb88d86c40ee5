-- The words of what was written before. FORCE shows the owner of the tables no rows, so it has policies for this transaction.
set local role vicket_owner;
create policy owner_all on vicket.articles to vicket_owner using (true) with check (true);
create policy owner_all on vicket.faqs to vicket_owner using (true) with check (true);
update vicket.articles set words = null where words is null;
update vicket.faqs set words = null where words is null;
drop policy owner_all on vicket.articles;
drop policy owner_all on vicket.faqs;
alter table vicket.articles add constraint articles_words_known check (words is not null) not valid;
alter table vicket.faqs add constraint faqs_words_known check (words is not null) not valid;
reset role;
