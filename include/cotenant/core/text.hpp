// Text: a sentence in parts, for raise(). Put together only where it is read, by code that is compiled once and not at each place.
#ifndef COTENANT_CORE_TEXT_HPP
#define COTENANT_CORE_TEXT_HPP
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "cotenant/core/error.hpp"

namespace cotenant {

namespace detail {
template <class T> concept HasToString = requires(const T& value) { { to_string(value) } -> std::convertible_to<std::string_view>; };

// Characters, an integer, or anything with a to_string(); refers to what it was made of.
class TextPart {
 public:
  TextPart(const char* text) : TextPart(std::string_view(text)) {}
  TextPart(const std::string& text) : TextPart(std::string_view(text)) {}
  TextPart(std::string_view text) : data_(text.data()), number_(text.size()), append_(&append_characters) {}
  template <std::integral T> requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  TextPart(T number) : data_(number < T{} ? "-" : ""), number_(static_cast<std::size_t>(number)), append_(&append_number) {
    if (number < T{}) number_ = 0 - number_;
  }
  template <HasToString T> TextPart(const T& value) : data_(&value), append_(&append_value<T>) {}

  void append_to(std::string& text) const { append_(text, *this); }

 private:
  [[gnu::cold]] static void append_characters(std::string& text, const TextPart& part) { text.append(static_cast<const char*>(part.data_), part.number_); }
  [[gnu::cold]] static void append_number(std::string& text, const TextPart& part) {
    char digits[20];  // of 2^64 - 1
    std::size_t begin = sizeof digits, rest = part.number_;
    do digits[--begin] = static_cast<char>('0' + rest % 10);
    while ((rest /= 10) != 0);
    text.append(static_cast<const char*>(part.data_)).append(digits + begin, sizeof digits - begin);
  }
  template <class T> [[gnu::cold]] static void append_value(std::string& text, const TextPart& part) { text += to_string(*static_cast<const T*>(part.data_)); }

  const void* data_ = nullptr;  // the characters, a number's sign or the value
  std::size_t number_ = 0;      // of characters, or a number's absolute value
  void (*append_)(std::string&, const TextPart&);
};
}  // namespace detail

// Text{"shape ", shape, " has ", shape.rank(), " axes"}: to be read before the end of the expression that makes it.
class Text {
 public:
  Text(std::initializer_list<detail::TextPart> parts) : parts_(parts) {}
  [[gnu::cold]] void append_to(std::string& text) const {
    for (const detail::TextPart& part : parts_) part.append_to(text);
  }
  std::string string() const {
    std::string text;
    append_to(text);
    return text;
  }

 private:
  std::initializer_list<detail::TextPart> parts_;
};

// Throws E with that sentence, as raise() of a string does.
template <class E> [[noreturn, gnu::noinline, gnu::cold]] void raise(const Text& message) { raise<E>(message.string()); }

}  // namespace cotenant

#endif
