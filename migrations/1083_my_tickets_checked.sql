-- vicket: no transaction
alter table vicket.tickets validate constraint tickets_customer_fkey;
