select f.id, l.severity, f.object, f.what, l.why, f.mend, r.name as relation
from found f
join lint l on l.id = f.id
left join relation r on r.oid = f.relation
order by case l.severity when 'error' then 1 when 'warning' then 2 else 3 end, f.id, f.object, f.what
