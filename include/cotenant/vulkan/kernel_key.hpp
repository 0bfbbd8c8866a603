// KernelKey: the text that names a kernel. A launch looks its pipeline up by it, so it is put together without the heap.
#ifndef COTENANT_VULKAN_KERNEL_KEY_HPP
#define COTENANT_VULKAN_KERNEL_KEY_HPP
#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace cotenant::vulkan {

class KernelKey {
 public:
  KernelKey() = default;
  // Characters, single ones, whole numbers: KernelKey("product ", rows, 'x', columns).
  template <class... Parts> explicit KernelKey(const Parts&... parts) { append(parts...); }

  template <class... Parts> KernelKey& append(const Parts&... parts) {
    (add(parts), ...);
    return *this;
  }
  std::string_view view() const noexcept { return longer_.empty() ? std::string_view(text_.data(), size_) : std::string_view(longer_); }
  operator std::string_view() const noexcept { return view(); }
  friend bool operator==(const KernelKey& a, const KernelKey& b) noexcept { return a.view() == b.view(); }
  friend bool operator==(const KernelKey& a, std::string_view b) noexcept { return a.view() == b; }

 private:
  // The longest of this library's own kernels take two thirds of it; a long expression of a user's may take more.
  static constexpr std::size_t capacity = 384;

  void add(std::string_view text) {
    if (longer_.empty() && size_ + text.size() <= capacity) {
      std::memcpy(text_.data() + size_, text.data(), text.size());
      size_ += text.size();
      return;
    }
    if (longer_.empty()) longer_.assign(text_.data(), size_);
    longer_ += text;
  }
  void add(char one) { add(std::string_view(&one, 1)); }
  template <std::integral T> requires(!std::same_as<T, bool>) void add(T number) {
    std::array<char, 24> digits;
    add(std::string_view(digits.data(), static_cast<std::size_t>(std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr - digits.data())));
  }

  std::array<char, capacity> text_;
  std::size_t size_ = 0;
  std::string longer_;
};

// The op that a kernel belongs to, as users call it: the word that its key begins with, where that is not one of ours.
constexpr std::string_view operation_of(std::string_view key) {
  constexpr std::string_view ours[][2] = {{"product", "matmul"},   {"pack", "matmul"}, {"quantization", "quantize or dequantize"}, {"range", "quantize"},
                                          {"dynamic", "quantize"}, {"custom", "a custom kernel"}};
  const std::string_view first = key.substr(0, key.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"));
  for (const auto& [name, operation] : ours)
    if (first == name) return operation;
  return first;
}

}  // namespace cotenant::vulkan

#endif
