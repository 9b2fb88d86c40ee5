-- 38_whether_news_came_in_a_team, as the server of the release sends it.
-- login: vicket_gate_agent

-- next message
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT * FROM auth.enter_session('\xb1cddb81067361a8475103c114b479367f49941aee9e1e1fc534e15d75205575', '\xe077ad278cb1abb29d87349c3ce5b1bc93e61acf794daccfee46f10c9ebd59d3', '\x706c616e73'); SET LOCAL ROLE vicket_agent

-- next message
-- parameters: 
select t.updated_at from vicket.tickets t order by t.updated_at desc limit 1

-- next message
COMMIT
