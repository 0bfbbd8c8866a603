// Descriptor: an open file, socket or shared memory of this process, closed with the object that owns it.
#ifndef COTENANT_STORAGE_DESCRIPTOR_HPP
#define COTENANT_STORAGE_DESCRIPTOR_HPP
#include <utility>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace cotenant {

class Descriptor {
 public:
  Descriptor() = default;
  // Takes a number that the system gave; a negative one, its sign of failure, owns nothing.
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  ~Descriptor() { close(); }

  int number() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }
  // Leaves the closing to the caller.
  int release() noexcept { return std::exchange(number_, -1); }
  void close() noexcept {
#if !defined(_WIN32)
    if (number_ >= 0) ::close(number_);
#endif
    number_ = -1;
  }

 private:
  int number_ = -1;
};

}  // namespace cotenant

#endif
