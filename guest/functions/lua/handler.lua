-- SPDX-License-Identifier: Apache-2.0
-- handler.lua - what is a text about? A sample for the function `lua`:
--
--	{"text": "...", "top": 3}   ->   {"words": 120, "distinct": 70, "top": [["thaw", 9], ...]}
--
-- Words are letters, in lower case; those that every text has (common.lua) count only in
-- `words`. `top` is 10 when it is left out.
local common = require("common")

local function words_count(text)
	local counts, total = {}, 0
	-- Bytes from 128 on are parts of letters, as far as this function is concerned.
	for word in text:lower():gmatch("[%a\128-\255]+") do
		total = total + 1
		if not common[word] then
			counts[word] = (counts[word] or 0) + 1
		end
	end
	return counts, total
end

return function(event)
	assert(type(event) == "table" and type(event.text) == "string",
		'expected an event like {"text": "..."}')
	local counts, total = words_count(event.text)

	-- json.array: a list stays a list when there is nothing in it.
	local list = json.array()
	for word, n in pairs(counts) do
		list[#list + 1] = json.array({ word, n })
	end
	table.sort(list, function(a, b)
		return a[2] > b[2] or a[2] == b[2] and a[1] < b[1]
	end)
	local distinct = #list
	for i = distinct, (event.top or 10) + 1, -1 do
		list[i] = nil
	end
	return { words = total, distinct = distinct, top = list }
end
