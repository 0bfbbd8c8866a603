// NpyHeader: what the first bytes of a NumPy .npy file say about the array behind them.
#ifndef COTENANT_FILES_NPY_HEADER_HPP
#define COTENANT_FILES_NPY_HEADER_HPP
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cotenant/core/element.hpp"
#include "cotenant/core/shape.hpp"

namespace cotenant {

// Format: "\x93NUMPY", two bytes of version, the header's length (2 bytes in version 1, else 4, little-endian), and a Python
// dictionary with the keys descr, fortran_order and shape
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
struct NpyHeader {
  static constexpr std::string_view magic = "\x93NUMPY";

  std::string descr;           // as written: "<f4", "|b1", "<V2", …
  std::optional<DType> dtype;  // nothing where cotenant has no such element type, or in this byte order
  bool fortran_order = false;  // the first axis is the dense one
  Shape shape;
  std::size_t data_offset = 0; // where the elements begin

  // `bytes` is the whole file or its beginning, `name` begins every error message.
  // Errors: BadFile; Unsupported for records, for more than eight dimensions and for a later version of the format.
  static NpyHeader parse(std::string_view bytes, const std::string& name);

  // The name that NumPy has for an element type, empty where it has none. NumPy itself knows no bfloat16: the package
  // ml_dtypes writes it as raw records of two bytes, "<V2".
  static constexpr std::string_view descr_of(DType dtype) {
    constexpr std::array<std::string_view, dtype_count> names = {"<f4", "<f2", "<V2", "|i1", "|u1", "<i4", "<i8", "|b1", ""};
    return names[static_cast<std::size_t>(dtype)];
  }
  // The element type of a name; the byte order does not matter for single bytes.
  static std::optional<DType> dtype_of_descr(std::string_view descr) {
    if (descr.empty()) return std::nullopt;
    const std::string_view type = descr.substr(std::string_view("<>|=").find(descr.front()) == std::string_view::npos ? 0 : 1);
    if (descr.front() == '>' && type.substr(type.size() - (type.empty() ? 0 : 1)) != "1") return std::nullopt;
    for (std::size_t i = 0; i < dtype_count; ++i) {
      const std::string_view known = descr_of(static_cast<DType>(i));
      if (!known.empty() && known.substr(1) == type) return static_cast<DType>(i);
    }
    return std::nullopt;
  }
  // The bytes of a file before its elements, which begin at a multiple of 64.
  static std::string text(DType dtype, bool fortran_order, const Shape& shape) {
    std::string dictionary = "{'descr': '" + std::string(descr_of(dtype)) + "', 'fortran_order': " + (fortran_order ? "True" : "False") + ", 'shape': (";
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) dictionary += (axis ? ", " : "") + std::to_string(shape[axis]);
    dictionary += shape.rank() == 1 ? ",), }" : "), }";
    const std::size_t begin = magic.size() + 4;  // version and length
    dictionary.resize((begin + dictionary.size() + 1 + 63) / 64 * 64 - begin, ' ');
    dictionary.back() = '\n';
    std::string result(magic);
    result += '\1';
    result += '\0';
    // At most eight dimensions: far below the 65535 of version 1.
    result += static_cast<char>(static_cast<unsigned char>(dictionary.size() & 255));
    result += static_cast<char>(static_cast<unsigned char>(dictionary.size() >> 8));
    return result + dictionary;
  }
};

namespace detail {
// The part of Python's literals that occurs in such a header.
class NpyDictionary {
 public:
  NpyDictionary(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  void parse(NpyHeader& header) {
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string("a key");
      const int index = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (index < 0) bad("has an unknown key '" + std::string(key) + "'");
      if (std::exchange(seen[index], true)) bad("has the key '" + std::string(key) + "' twice");
      expect(':');
      if (index == 0) {
        if (peek() == '[') raise<Unsupported>("'" + name_ + "' holds records of several fields: store each field as an array of its own");
        header.descr = string("descr");
      } else if (index == 1) {
        header.fortran_order = boolean();
      } else {
        header.shape = tuple();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) bad("goes on after its header's dictionary");
    for (int i = 0; i < 3; ++i)
      if (!seen[i]) bad(std::string("has no ") + (i == 0 ? "descr" : i == 1 ? "fortran_order" : "shape"));
  }

 private:
  [[noreturn]] void bad(const std::string& problem) const { raise<BadFile>("'" + name_ + "' is not a valid npy file: it " + problem); }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char wanted) {
    if (peek() != wanted || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) bad(std::string("has no '") + wanted + "' at byte " + std::to_string(at_) + " of its header");
  }
  std::string_view string(const char* what) {
    const char quote = peek();
    if (quote != '\'' && quote != '"') bad(std::string("has no string for ") + what);
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\' && static_cast<unsigned char>(text_[at_]) >= 0x20) ++at_;
    if (at_ >= text_.size() || text_[at_] != quote) bad(std::string("has no plain string for ") + what);
    return text_.substr(begin, at_++ - begin);
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {std::string_view("True"), std::string_view("False")})
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    bad("has a fortran_order that is neither True nor False");
  }
  Shape tuple() {
    Shape shape;
    std::size_t count = 0;
    expect('(');
    bool comma = true;
    while (!accept(')')) {
      if (!comma) bad("has a shape that is no tuple of numbers");
      const std::size_t extent = number();
      if (++count > max_rank)
        raise<Unsupported>("'" + name_ + "' has more dimensions than the " + std::to_string(max_rank) + " that cotenant's tensors have at most");
      shape.append(extent);
      comma = accept(',');
    }
    if (count == 1 && !comma) bad("has a shape that is a number, not a tuple");
    return shape;
  }
  std::size_t number() {
    skip_space();
    const std::size_t begin = at_;
    std::size_t value = 0;
    bool fits = true;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      fits = fits && !__builtin_mul_overflow(value, std::size_t{10}, &value) &&
          !__builtin_add_overflow(value, static_cast<std::size_t>(text_[at_] - '0'), &value);
    if (at_ == begin) bad("has a shape that is no tuple of numbers");
    if (!fits) bad("has a dimension that no address can count");
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long integers so
    return value;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
};
}  // namespace detail

inline NpyHeader NpyHeader::parse(std::string_view bytes, const std::string& name) {
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])); };
  if (bytes.substr(0, magic.size()) != magic) raise<BadFile>("'" + name + "' is not an npy file: it does not begin with \\x93NUMPY");
  if (bytes.size() < 8) raise<BadFile>("'" + name + "' is not a valid npy file: it ends before its version");
  const std::size_t major = byte(6), minor = byte(7);
  if (major < 1 || major > 3 || minor != 0)
    raise<Unsupported>("'" + name + "' is an npy file of version " + std::to_string(major) + "." + std::to_string(minor) + "; cotenant reads 1.0, 2.0 and 3.0");
  const std::size_t begin = major == 1 ? 10 : 12;
  if (bytes.size() < begin) raise<BadFile>("'" + name + "' is not a valid npy file: it ends before its header");
  std::size_t length = 0;
  for (std::size_t i = begin; i-- > 8;) length = (length << 8) | byte(i);
  if (length > bytes.size() - begin)
    raise<BadFile>("'" + name + "' is truncated: its header claims " + std::to_string(length) + " bytes, but only " + std::to_string(bytes.size() - begin) +
        " follow");
  NpyHeader header;
  header.data_offset = begin + length;
  detail::NpyDictionary(bytes.substr(begin, length), name).parse(header);
  header.dtype = dtype_of_descr(header.descr);
  return header;
}

}  // namespace cotenant

#endif
