// Few: a vector that needs no heap for its first elements: what is gathered for every launch.
#ifndef COTENANT_VULKAN_FEW_HPP
#define COTENANT_VULKAN_FEW_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <type_traits>
#include <vector>

namespace cotenant::vulkan {

// Up to N elements inline, then all of them on the heap. An allocation and its end take the host beside an H100 0.1 µs, where a launch has 2.
template <class T, std::size_t N> class Few {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Few() = default;
  Few(std::initializer_list<T> values) { append(values); }
  void push_back(const T& value) {
    if (size_ < N) few_[size_] = value;
    else {
      if (more_.empty()) more_.assign(few_.begin(), few_.end());
      more_.push_back(value);
    }
    ++size_;
  }
  template <class Range> void append(const Range& values) {
    for (const T& value : values) push_back(value);
  }
  void assign(std::size_t count, const T& value) {
    more_.clear();
    size_ = 0;
    while (size_ < count) push_back(value);
  }

  std::size_t size() const noexcept { return size_; }
  T* data() noexcept { return more_.empty() ? few_.data() : more_.data(); }
  const T* data() const noexcept { return more_.empty() ? few_.data() : more_.data(); }
  T* begin() noexcept { return data(); }
  T* end() noexcept { return data() + size_; }
  const T* begin() const noexcept { return data(); }
  const T* end() const noexcept { return data() + size_; }
  T& operator[](std::size_t i) noexcept { return data()[i]; }
  const T& operator[](std::size_t i) const noexcept { return data()[i]; }
  T& back() noexcept { return data()[size_ - 1]; }
  const T& back() const noexcept { return data()[size_ - 1]; }
  friend bool operator==(const Few& a, const Few& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

 private:
  std::array<T, N> few_;
  std::size_t size_ = 0;
  std::vector<T> more_;
};

}  // namespace cotenant::vulkan

#endif
