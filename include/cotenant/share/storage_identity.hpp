// StorageIdentity: which storage policy a block was made with, known at run time and in every library of a program.
#ifndef COTENANT_SHARE_STORAGE_IDENTITY_HPP
#define COTENANT_SHARE_STORAGE_IDENTITY_HPP
#include <cstddef>
#include <functional>
#include <string_view>

#include "cotenant/core/concepts.hpp"

namespace cotenant {

namespace detail {
// A type's name as the compiler spells it: "cotenant::Heap".
template <class S> constexpr auto spelling() noexcept {
#if defined(__GNUC__)
  constexpr std::string_view text = __PRETTY_FUNCTION__, before = "S = ";  // "constexpr auto cotenant::detail::spelling() [with S = cotenant::Heap]"
  constexpr std::size_t first = text.find(before) + before.size();
  return text.substr(first, text.size() - 1 - first);
#else
  return std::string_view(__FUNCSIG__);
#endif
}
// Types of the same spelling are one, but those that belong to one file or function alone: "{anonymous}::Mine", "main()::Mine", which clang
// spells "Mine".
struct StorageType {
  std::string_view spelling;
  bool local;
};
constexpr bool is_local(std::string_view spelling) noexcept {
  return spelling.find_first_of("{(") != std::string_view::npos || spelling.find("::") == std::string_view::npos;
}
template <class S> inline constexpr StorageType storage_type{spelling<S>(), is_local(spelling<S>())};
}  // namespace detail

// A library that is loaded at run time has its own copy of every constant, unless the program exports its symbols: two identities that lie
// at different addresses are equal where they name the same type.
class StorageIdentity {
 public:
  template <Storage S> static constexpr StorageIdentity of() noexcept { return StorageIdentity(detail::storage_type<S>); }

  friend constexpr bool operator==(const StorageIdentity& a, const StorageIdentity& b) noexcept {
    return a.type_ == b.type_ || (a.type_->spelling == b.type_->spelling && !a.type_->local);
  }
  // Equal ones have equal numbers.
  std::size_t hash() const noexcept { return std::hash<std::string_view>()(type_->spelling); }

 private:
  constexpr explicit StorageIdentity(const detail::StorageType& type) noexcept : type_(&type) {}

  const detail::StorageType* type_;
};

}  // namespace cotenant

#endif
