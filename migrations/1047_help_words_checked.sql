-- vicket: no transaction
alter table vicket.articles validate constraint articles_words_known;
alter table vicket.faqs validate constraint faqs_words_known;
