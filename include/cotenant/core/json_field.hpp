// json::Field: reading a JSON document by path, with errors that say where something is missing or of another kind.
#ifndef COTENANT_CORE_JSON_FIELD_HPP
#define COTENANT_CORE_JSON_FIELD_HPP
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "cotenant/core/json.hpp"

namespace cotenant::json {

// A place in a document that knows its path, so that a wrong or missing value is an error which says where.
//   Field config(value, "config.json");  config["hidden_size"].integer();  config["vision"]["layers"].integer_or(12);
class Field {
 public:
  Field(const Value& value, std::string path) : value_(&value), path_(std::move(path)) {}

  // A member, which may be absent (also of something absent). Errors: BadFile where this is not an object.
  Field operator[](std::string_view key) const {
    Field field(path_ + (separator_ ? "." : ": ") + std::string(key));
    field.separator_ = true;
    if (value_ != nullptr) field.value_ = object().find(key);
    return field;
  }
  // Whether there is a value other than null: configurations write null for "not set".
  explicit operator bool() const { return value_ != nullptr && !value_->is_null(); }
  const std::string& path() const { return path_; }
  // Whether there is a value of this kind.
  template <class T> bool is() const { return value_ != nullptr && value_->get_if<T>() != nullptr; }

  // The value as the kind the name says. Errors: BadFile where it is absent or of another kind.
  std::int64_t integer() const { return as<std::int64_t>("an integer"); }
  bool boolean() const { return as<bool>("a boolean"); }
  const std::string& string() const { return as<std::string>("a string"); }
  const Array& array() const { return as<Array>("an array"); }
  const Object& object() const { return as<Object>("an object"); }
  // Integers count as numbers.
  double number() const {
    if (value_ != nullptr)
      if (const auto* whole = value_->get_if<std::int64_t>()) return static_cast<double>(*whole);
    return as<double>("a number");
  }
  // An integer in [low, high]. Errors: BadFile.
  std::size_t size(std::size_t low, std::size_t high) const {
    const std::int64_t value = integer();
    if (value < 0 || static_cast<std::uint64_t>(value) < low || static_cast<std::uint64_t>(value) > high)
      raise<BadFile>(path_ + " is " + std::to_string(value) + ", but must lie between " + std::to_string(low) + " and " + std::to_string(high));
    return static_cast<std::size_t>(value);
  }

  // The same, or the given value where it is absent or null.
  std::int64_t integer_or(std::int64_t otherwise) const { return *this ? integer() : otherwise; }
  bool boolean_or(bool otherwise) const { return *this ? boolean() : otherwise; }
  std::string string_or(std::string otherwise) const { return *this ? string() : std::move(otherwise); }
  double number_or(double otherwise) const { return *this ? number() : otherwise; }

 private:
  explicit Field(std::string path) : path_(std::move(path)) {}
  template <class T> const T& as(const char* wanted) const {
    if (value_ == nullptr) raise<BadFile>(path_ + " is missing: it should be " + wanted);
    const T* content = value_->get_if<T>();
    if (content == nullptr) raise<BadFile>(path_ + " is " + value_->kind() + ", but should be " + wanted);
    return *content;
  }

  const Value* value_ = nullptr;
  std::string path_;
  bool separator_ = false;
};

}  // namespace cotenant::json

#endif
