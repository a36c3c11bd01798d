-- The load: every request carries the next of the tokens in the file, every answer is read and compared.
-- Arguments after '--': the file of tokens, and the text that every right answer holds.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  expected = arguments[2]
  requests = {}
  for token in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", nil, { ["Authorization"] = "Bearer " .. token, ["Host"] = wrk.headers["Host"] })
  end
  turn, right, wrong = 0, 0, 0
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, headers, body)
  if status == 200 and string.find(body, expected, 1, true) then
    right = right + 1
  else
    wrong = wrong + 1
  end
end

function done(summary, latency, all_requests)
  local right, wrong = 0, 0
  for _, thread in ipairs(threads) do
    right = right + thread:get("right")
    wrong = wrong + thread:get("wrong")
  end
  local errors = summary.errors
  io.write(string.format(
    '{"answers":%d,"wrong":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d}\n',
    right, wrong + errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99)))
end
