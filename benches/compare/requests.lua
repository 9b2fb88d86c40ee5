-- wrk -s requests.lua URL -- WHAT SITES STEP: requests with keys of SITES sites drawn at random, each the STEPth after the
-- one before. WHAT is `list`, `article` or `ticket`.

local body = '{"email":"visitor@example.com","subject":"Cannot sign in","message":"I reset my password twice and the link '
  .. 'still says that it has expired. What should I do next?"}'

local requests = {
  list = function(headers)
    return wrk.format("GET", "/support/v1/help/articles?limit=20", headers)
  end,
  -- One of the 20 newest that are published: every fourth is a draft.
  article = function(headers)
    local nth = math.random(131, 150)
    return wrk.format("GET", "/support/v1/help/articles/article-" .. nth + math.floor((nth - 1) / 3), headers)
  end,
  ticket = function(headers)
    headers["Content-Type"] = "application/json"
    return wrk.format("POST", "/support/v1/tickets", headers, body)
  end,
}

local make, sites, step

function init(args)
  make, sites, step = requests[args[1]], tonumber(args[2]), tonumber(args[3])
  math.randomseed(os.time())
end

function request()
  local site = 1 + (math.random(sites) - 1) * step
  return make({ ["X-Vicket-Key"] = string.format("pk_bench_%037d", site) })
end
