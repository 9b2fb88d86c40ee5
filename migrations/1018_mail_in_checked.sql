-- vicket: no transaction
alter table vicket.tasks validate constraint tasks_kind_known;
