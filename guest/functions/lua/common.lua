-- SPDX-License-Identifier: Apache-2.0
-- common.lua - a set of words that say nothing about a text. Made once, when the image is built.
local set = {}
for word in ([[
	a about after all also an and any are as at be been but by can do does for from had has
	have he her his how i if in into is it its more no not of on one only or our she so than
	that the their them then there they this to up was we were what when where which who will
	with would you your
]]):gmatch("%a+") do
	set[word] = true
end
return set
