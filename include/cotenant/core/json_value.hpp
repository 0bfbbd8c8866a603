// json::Value: what a JSON text says, and json::Object, its members by name. See json.hpp for the reader.
#ifndef COTENANT_CORE_JSON_VALUE_HPP
#define COTENANT_CORE_JSON_VALUE_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace cotenant::json {

class Value;
class Object;
using Array = std::vector<Value>;

// One JSON value, immutable and cheap to copy. Numbers written without fraction and exponent that fit are integers,
// all others doubles.
class Value {
 public:
  // Arrays and objects are held by pointer: their elements are Values, which are not complete here.
  using Content = std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, std::shared_ptr<const Array>, std::shared_ptr<const Object>>;

  Value() = default;
  explicit Value(Content content) : content_(std::move(content)) {}

  // The content as T (nullptr_t, bool, int64_t, double, string, Array, Object), or nullptr where it is of another kind.
  template <class T> const T* get_if() const {
    if constexpr (std::is_same_v<T, Array> || std::is_same_v<T, Object>) {
      const auto* pointer = std::get_if<std::shared_ptr<const T>>(&content_);
      return pointer ? pointer->get() : nullptr;
    } else return std::get_if<T>(&content_);
  }
  bool is_null() const { return get_if<std::nullptr_t>() != nullptr; }
  // "null", "a boolean", "an integer", "a number", "a string", "an array" or "an object".
  const char* kind() const {
    constexpr const char* names[] = {"null", "a boolean", "an integer", "a number", "a string", "an array", "an object"};
    return names[content_.index()];
  }

 private:
  Content content_;
};

struct Member {
  std::string key;
  Value value;
};

// Members in the order of the text; keys are unique. Looking one up is a binary search.
class Object {
 public:
  const std::vector<Member>& members() const { return members_; }
  std::size_t size() const { return members_.size(); }
  // The value of a key, or nullptr.
  const Value* find(std::string_view key) const;

 private:
  friend class Parser;
  std::vector<Member> members_;
  std::vector<std::uint32_t> by_key_;
};

inline const Value* Object::find(std::string_view key) const {
  const auto found = std::lower_bound(by_key_.begin(), by_key_.end(), key, [&](std::uint32_t i, std::string_view k) { return members_[i].key < k; });
  return found != by_key_.end() && members_[*found].key == key ? &members_[*found].value : nullptr;
}

}  // namespace cotenant::json

#endif
