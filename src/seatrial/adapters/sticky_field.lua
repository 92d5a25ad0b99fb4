-- Sets the header that a variant is drawn by to the value of one field of the first row, where the body is one of MLflow's forms.
-- Strings are stepped over as JSON writes them, so that a field's name inside of a value is not taken for the field.

local FIELD, KEY = @FIELD@, @KEY@
local READ, LONGEST = 65536, 256
local byte, find, sub = string.byte, string.find, string.sub
local QUOTE, COMMA, COLON, LIST, OBJECT = 34, 44, 58, 91, 123

local function word(text, at)
  return at and find(text, "[^ \t\r\n]", at)
end

local function after_string(text, at)
  at = find(text, '["\\]', at + 1)
  while at and byte(text, at) ~= QUOTE do
    at = find(text, '["\\]', at + 2)
  end
  return at and at + 1
end

local function after_nested(text, at)
  local depth = 0
  repeat
    at = find(text, '["%[%]{}]', at)
    if not at then return nil end
    local sign = byte(text, at)
    if sign == QUOTE then
      at = after_string(text, at)
    else
      depth = depth + ((sign == LIST or sign == OBJECT) and 1 or -1)
      at = at + 1
    end
  until not at or depth == 0
  return at
end

local function after_value(text, at)
  local sign = byte(text, at)
  if sign == QUOTE then return after_string(text, at) end
  if sign == LIST or sign == OBJECT then return after_nested(text, at) end
  return find(text, "[,%]} \t\r\n]", at)
end

-- The place of the next entry, behind a comma.
local function next_entry(text, at)
  at = word(text, after_value(text, at))
  return at and byte(text, at) == COMMA and word(text, at + 1) or nil
end

-- The place of a member's value in the object at `at`.
local function member(text, at, name)
  if not at or byte(text, at) ~= OBJECT then return nil end
  at = word(text, at + 1)
  while at and byte(text, at) == QUOTE do
    local stop = after_string(text, at)
    if not stop then return nil end
    local key = sub(text, at + 1, stop - 2)
    at = word(text, stop)
    if not at or byte(text, at) ~= COLON then return nil end
    at = word(text, at + 1)
    if not at or key == name then return at end
    at = next_entry(text, at)
  end
end

-- The place of the first entry of the list at `at`.
local function first(text, at)
  return at and byte(text, at) == LIST and word(text, at + 1) or nil
end

-- The place of the first row's value in {"columns": [...], "data": [[...]]}.
local function in_split(text, at)
  local column, value = first(text, member(text, at, "columns")), first(text, first(text, member(text, at, "data")))
  while column and value do
    local stop = after_value(text, column)
    if not stop then return nil end
    if sub(text, column, stop - 1) == '"' .. FIELD .. '"' then return value end
    column, value = next_entry(text, column), next_entry(text, value)
  end
end

local function in_first_row(text)
  local body = word(text, 1)
  local rows = member(text, body, "dataframe_records") or member(text, body, "instances")
  if rows then return member(text, first(text, rows), FIELD) end
  local split = member(text, body, "dataframe_split")
  if split then return in_split(text, split) end
  return first(text, member(text, member(text, body, "inputs"), FIELD))
end

-- The value as it is written; nil for null, what is nested, and what no header could hold.
local function key_of(text)
  local at = in_first_row(text)
  local stop = at and after_value(text, at)
  if not stop or stop - at > LONGEST then return nil end
  local value = sub(text, at, stop - 1)
  local sign = byte(value, 1)
  if value == "" or value == "null" or sign == LIST or sign == OBJECT or find(value, "%c") then return nil end
  return value
end

function envoy_on_request(request)
  if request:headers():get(":method") ~= "POST" then return end
  local body = request:body()
  local length = body and body:length() or 0
  if length == 0 then return end
  local key = key_of(body:getBytes(0, math.min(length, READ)))
  if key then
    request:headers():replace(KEY, key)
    request:clearRouteCache()
  end
end
