// Any text as JSON: refused with a line and a column, or values that can be written and read again as the same.
#include "cotenant/core/json.hpp"
#include "cotenant/core/json_writer.hpp"
#include "support.hpp"

namespace {
using namespace cotenant;

void write(JsonWriter& out, const json::Value& value) {
  if (value.is_null()) out.value(nullptr);
  else if (const auto* truth = value.get_if<bool>()) out.value(*truth);
  else if (const auto* whole = value.get_if<std::int64_t>()) out.value(*whole);
  else if (const auto* number = value.get_if<double>()) out.value(*number);
  else if (const auto* text = value.get_if<std::string>()) out.value(*text);
  else if (const auto* array = value.get_if<json::Array>()) {
    out.begin_array();
    for (const json::Value& element : *array) write(out, element);
    out.end_array();
  } else if (const auto* object = value.get_if<json::Object>()) {
    out.begin_object();
    for (const json::Member& member : object->members()) {
      fuzz::require(object->find(member.key) == &member.value, "every key is found");
      out.key(member.key);
      write(out, member.value);
    }
    out.end_object();
  } else {
    fuzz::require(false, "a value is of one of seven kinds");
  }
}
std::string text_of(const json::Value& value) {
  JsonWriter out;
  write(out, value);
  return out.take();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string once;
  try {
    once = text_of(json::parse({reinterpret_cast<const char*>(data), size}, "fuzz"));
  } catch (const Error& error) {
    fuzz::require(error.code() == ErrorCode::bad_file && std::strstr(error.what(), "line ") != nullptr, "a refusal says where");
    return 0;
  }
  try {
    fuzz::require(text_of(json::parse(once, "fuzz")) == once, "what is written reads back as the same");
  } catch (const Error&) {
    fuzz::require(false, "what is written can be read");
  }
  return 0;
}
